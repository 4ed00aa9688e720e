"""The pages."""

from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.urls import path

from shop.tasks import send_receipt


def login(request: HttpRequest) -> HttpResponse:
    """Remembers who it is."""
    request.session["user"] = request.POST["user"]
    return HttpResponse(f"welcome, {request.POST['user']}\n")


def me(request: HttpRequest) -> HttpResponse:
    """Says who it is, if the session says so."""
    user = request.session.get("user")
    return HttpResponse(f"hello, {user}\n") if user else HttpResponse("who?\n", status=401)


def order(request: HttpRequest) -> HttpResponse:
    """Has a receipt sent."""
    send_receipt.delay(request.session["user"], request.POST["order"])
    return HttpResponse("a receipt is on its way\n", status=202)


def receipt(request: HttpRequest) -> HttpResponse:
    """Opens the receipt of a link, for two weeks."""
    try:
        opened = signing.loads(request.GET["link"], salt="receipt", max_age=14 * 24 * 3600)
    except signing.BadSignature:
        return HttpResponse("this link is not ours, or too old\n", status=403)
    return HttpResponse(f"order {opened['order']} of {opened['user']}\n")


urlpatterns = [
    path("login", login),
    path("me", me),
    path("order", order),
    path("receipt", receipt),
]
