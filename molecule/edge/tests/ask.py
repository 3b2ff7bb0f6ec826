"""Asks the edge from its own host: arguments are URL, method, headers as JSON and the body's bytes.

Prints status, headers and JSON body as JSON. The certificate must be of the host's
authority and for the name in the URL. Standard library only.
"""

import http.client
import json
import ssl
import sys
from urllib.parse import urlsplit

url, method, headers, size = sys.argv[1:]
parts = urlsplit(url)
host, port = str(parts.hostname), parts.port
if parts.scheme == "https":
    trust = ssl.create_default_context(cafile="/etc/shill-edge/authority.pem")
    connection: http.client.HTTPConnection = http.client.HTTPSConnection(
        host, port, context=trust, timeout=20
    )
else:
    connection = http.client.HTTPConnection(host, port, timeout=20)
path = parts.path + ("?" + parts.query if parts.query else "")
connection.request(method, path, b"x" * int(size) or None, json.loads(headers))
response = connection.getresponse()
content = response.read().decode()
found = {"status": response.status, "headers": {k.lower(): v for k, v in response.getheaders()}}
if "json" in found["headers"].get("content-type", ""):
    found["json"] = json.loads(content)
print(json.dumps(found))  # noqa: T201
