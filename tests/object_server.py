"""A server of the S3 protocol on loopback: moto, with what object storage does wrong on request.

``serving()`` starts it in this process, ``python object_server.py PORT FOLDER`` in one of its own. A test changes what
it answers through ``Server.spoil``, a function of the request that returns an answer, or None for moto's.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs
from urllib.request import Request as Ask
from urllib.request import urlopen

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

BUCKET = "deliveries"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@dataclass
class Server:
    """``asked``: (method, key, query) of each request."""

    port: int = 0
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    spoil: Callable[[Request], Response | None] = lambda request: None
    client: Any = None

    @property
    def environment(self) -> dict[str, str]:
        return CREDENTIALS | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}"}

    def put(self, key: str, content: bytes | str) -> None:
        body = content.encode() if isinstance(content, str) else content
        self.client.put_object(Bucket=BUCKET, Key=key, Body=body)

    def put_in_parts(self, key: str, content: str) -> None:
        """An object whose ETag is no MD5 of its content."""
        place = {"Bucket": BUCKET, "Key": key}
        upload = place | {"UploadId": self.client.create_multipart_upload(**place)["UploadId"]}
        part = self.client.upload_part(**upload, PartNumber=1, Body=content.encode())
        parts = [{"PartNumber": 1, "ETag": part["ETag"]}]
        self.client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})

    def get(self, key: str) -> bytes:
        return self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()

    def all_keys(self) -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        return [found["Key"] for page in pages for found in page.get("Contents", [])]

    def delete(self, key: str) -> None:
        self.client.delete_object(Bucket=BUCKET, Key=key)

    @property
    def listed(self) -> list[str]:
        """The prefixes of all list requests, in order."""
        return [query["prefix"] for method, _, query in self.asked if query.get("list-type") == "2"]

    @property
    def downloaded(self) -> list[str]:
        """The keys of all reads of objects, in order."""
        return [key for method, key, _ in self.asked if method == "GET" and key]

    def forget_requests(self) -> None:
        self.asked.clear()


class _Noted:
    """The WSGI application: notes each request, and answers for moto if it is asked to."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._moto = DomainDispatcherApplication(create_backend_app)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        request = Request(environ)
        _, _, key = request.path.lstrip("/").partition("/")
        query = {name: values[-1] for name, values in parse_qs(environ["QUERY_STRING"], keep_blank_values=True).items()}
        self._server.asked.append((request.method, key, query))
        answer = self._server.spoil(request)
        return (answer or self._moto)(environ, start_response)


@contextmanager
def serving() -> Iterator[Server]:
    """A server with an empty bucket, with a client of its own that its notes leave out."""
    import boto3

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = Server()
    listening = make_server("127.0.0.1", 0, _Noted(server), threaded=True)
    server.port = listening.server_port
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    server.client = boto3.client(
        "s3",
        endpoint_url=server.environment["AWS_ENDPOINT_URL"],
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        region_name="us-east-1",
    )
    try:
        # moto keeps its buckets in this process, for all servers
        urlopen(Ask(f"http://127.0.0.1:{server.port}/moto-api/reset", method="POST")).close()
        server.client.create_bucket(Bucket=BUCKET)
        server.forget_requests()
        yield server
    finally:
        listening.shutdown()


def denied(request: Request) -> Response:
    """The answer to a request without permission."""
    text = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
    return Response(text, status=403, content_type="application/xml")


def main(port: str, folder: str) -> None:
    """Serve a folder's files as the objects of the bucket. Prints a line when they are there."""
    from moto.s3.models import s3_backends

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    objects = s3_backends["123456789012"]["aws"]
    objects.create_bucket(BUCKET, "us-east-1")
    for path in Path(folder).rglob("*"):
        if path.is_file():
            objects.put_object(BUCKET, path.relative_to(folder).as_posix(), path.read_bytes())
    server = make_server("127.0.0.1", int(port), _Noted(Server()), threaded=True)
    print("ready", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
