"""Timers in an application that turn keys, and those that do not."""

# --- APScheduler
from apscheduler.schedulers.background import BackgroundScheduler


def rotate_keys():
    pass


def send_mails():
    pass


scheduler = BackgroundScheduler()
scheduler.add_job(rotate_keys, "interval", hours=24)  #! scheduler module
scheduler.add_job(send_mails, "interval", hours=1)

# --- APScheduler, its decorator
from apscheduler.schedulers.background import BackgroundScheduler

scheduler = BackgroundScheduler()


@scheduler.scheduled_job("cron", day=1)  #! scheduler module
def rotate_signing_secret():
    pass


@scheduler.scheduled_job("cron", day=1)
def clear_sessions():
    pass

# --- APScheduler, by what the job does
from apscheduler.schedulers.background import BackgroundScheduler
from cryptography.fernet import Fernet

current = {}


def nightly():
    current["key"] = Fernet.generate_key()


BackgroundScheduler().add_job(nightly, "cron", hour=3)  #! scheduler module

# --- schedule
import schedule


def regenerate_secret_key():
    pass


schedule.every().day.do(regenerate_secret_key)  #! scheduler module
schedule.every(10).minutes.do(print)

# --- threading
import threading


def refresh_keys():
    threading.Timer(3600, refresh_keys).start()  #! scheduler call

# --- Celery's beat
from celery import Celery

app = Celery()
app.conf.beat_schedule = {
    "rotate": {"task": "app.tasks.rotate_jwt_secret", "schedule": 86400},  #! scheduler module
    "clean": {"task": "app.tasks.clean_up", "schedule": 3600},
}

# --- Celery, a task that is added
from celery import Celery

app = Celery()


@app.on_after_configure.connect
def periodic(sender, **kwargs):
    sender.add_periodic_task(3600.0, rotate_secret.s())  #! scheduler call


@app.task
def rotate_secret():
    pass

# --- a loop of asyncio
import asyncio
import secrets


async def turn(app):
    while True:  #! scheduler call
        await asyncio.sleep(3600)
        app.secret_key = secrets.token_hex(32)

# --- a loop that does something else
import asyncio


async def beat(queue):
    while True:
        await asyncio.sleep(1)
        await queue.put("tick")

# --- fastapi-utils
from fastapi_utils.tasks import repeat_every


@repeat_every(seconds=3600)  #! scheduler module
async def rotate_keys():
    pass
