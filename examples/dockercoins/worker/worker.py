"""Looks for coins: random bytes whose hash begins with a zero."""

import time

import redis
import requests

counters = redis.Redis("redis")


def work_once() -> None:
    """One try, and perhaps a coin."""
    tried = requests.get("http://rng/32", timeout=5).content
    hashed = requests.post("http://hasher/", data=tried, timeout=5).text
    counters.incr("hashes")
    if hashed.startswith("0"):
        counters.hset("wallet", hashed, tried)
        print("coin found:", hashed[:8])


while True:
    try:
        work_once()
    except (OSError, redis.RedisError) as problem:
        print("waiting:", problem)
        time.sleep(1)
