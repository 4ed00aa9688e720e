"""What is done behind the requests."""

from pathlib import Path

from celery import shared_task
from django.conf import settings
from django.core import signing


@shared_task
def send_receipt(user: str, order: str) -> None:
    """Writes the mail with the link that opens a receipt. The link is signed here, by a worker."""
    link = signing.dumps({"user": user, "order": order}, salt="receipt")
    outbox = Path(settings.FOLDER) / "outbox"
    outbox.mkdir(exist_ok=True)
    written = outbox / f"{order}.part"
    written.write_text(f"/receipt?link={link}\n")
    written.rename(outbox / f"{order}.txt")
