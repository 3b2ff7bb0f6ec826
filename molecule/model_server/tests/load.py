"""Clients that ask all the time until stdin ends: run on the host, with a key and a record.

Prints how many requests were answered with 200, and what became of the others. Half of the clients
keep their connection, half open one for each request. Standard library only.
"""

import http.client
import json
import select
import sys
import threading
from collections import Counter

KEY, RECORD = sys.argv[1:]
HEADERS = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
PAUSE_SECONDS = 0.01
LONGEST_SECONDS = 600.0

answered = 0
failures: Counter[str] = Counter()
lock = threading.Lock()
ended = threading.Event()


def client(keep: bool) -> None:
    global answered  # noqa: PLW0603
    connection = http.client.HTTPConnection("127.0.0.1", 8000, timeout=30)
    while not ended.wait(PAUSE_SECONDS):
        # As every client with a pool does: a connection that the server has closed is not used.
        if connection.sock and select.select([connection.sock], [], [], 0)[0]:
            connection.close()
        try:
            connection.request("POST", "/predict", RECORD, HEADERS)
            response = connection.getresponse()
            response.read()
            outcome = "" if response.status == http.HTTPStatus.OK else str(response.status)
        except (OSError, http.client.HTTPException) as error:
            outcome = repr(error)
            connection.close()
        with lock:
            if outcome:
                failures[outcome] += 1
            else:
                answered += 1
        if not keep:
            connection.close()


threads = [threading.Thread(target=client, args=(number % 2 == 0,)) for number in range(4)]
for thread in threads:
    thread.start()
timer = threading.Timer(LONGEST_SECONDS, ended.set)
timer.daemon = True
timer.start()
sys.stdin.read()
ended.set()
for thread in threads:
    thread.join()
print(json.dumps({"answered": answered, "failures": failures}))  # noqa: T201
