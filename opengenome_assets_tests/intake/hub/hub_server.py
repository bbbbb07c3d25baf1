"""A small Hub on this machine, for the real client: dataset API, file addresses, and storage on another host.

It answers what `huggingface_hub` 2.4 asks of the real one, with that one's headers and error codes. Small text files
are git blobs, served by the Hub itself; all others are in LFS, served by storage to which the Hub redirects with a
signed address. Every failure is switched on by a test: `faults` holds, for each file (or for "api"), what happens to
its next requests, one after the other.
"""

import hashlib
import json
import socket
import struct
import threading
import time
from collections import Counter, defaultdict, deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, unquote, urlsplit

REPO = "oxford/genomes"
TOKEN = "hf_" + "abcdefghijklmnop"
SEND_BUFFER = 1 << 16


@dataclass(frozen=True)
class Fault:
    """What happens to one request.

    `status` refuses it, with `headers`. Else the body is sent up to offset `cut` of the file, and then the connection
    is closed, reset ("reset"), or says nothing more ("stall"); or it trickles: so many bytes every 20 ms. `content` is
    served instead of the file's. `at` is where: "hub", "storage", or "expired" for a redirect whose time is over.
    """

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    end: str = "close"
    trickle: int = 0
    content: bytes | None = None
    ignore_range: bool = False
    at: str = "storage"


def git_id(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def is_lfs(path: str) -> bool:
    return not path.endswith((".md", ".txt", ".fa"))


class HubServer:
    """The server's state; `serving` runs it."""

    def __init__(self):
        self.repo = REPO  # the only dataset that it has
        self.commits: dict[str, dict[str, bytes]] = {}
        self.branches: dict[str, str] = {}
        self.faults: dict[str, deque[Fault]] = defaultdict(deque)
        self.page = 1000
        self.private = self.gated = False
        self.released = threading.Event()  # ends stalls
        # What happened: bytes of bodies handed to the network, all requests and their headers, bodies at once.
        self.sent: Counter[str] = Counter()
        self.requests: list[tuple[str, str, str]] = []
        self.headers: list[tuple[str, dict[str, str]]] = []
        self.at_once = self.most_at_once = 0
        self.hub = self.storage = ""

    def commit(self, files: dict[str, bytes], branch: str = "main") -> str:
        """Make a commit of exactly these files the newest of its branch."""
        digest = hashlib.sha1(repr((sorted(files.items()), len(self.commits))).encode()).hexdigest()
        self.commits[digest] = dict(files)
        self.branches[branch] = digest
        return digest

    def fail(self, path: str, *faults: Fault, times: int = 1) -> None:
        self.faults[path].extend(faults * times)

    def count(self, prefix: str = "", place: str = "") -> int:
        return sum(path.startswith(prefix) and where.startswith(place) for where, _, path in self.requests)

    def entries(self, commit: str, folder: str, recursive: bool) -> list[dict]:
        """What the tree of a folder holds, folders with a digest of all below them."""
        inside = {path: content for path, content in self.commits[commit].items() if path.startswith(folder)}
        found = {}
        for path, content in sorted(inside.items()):
            names = path[len(folder) :].split("/")
            for depth in range(1, len(names)):
                sub = folder + "/".join(names[:depth])
                if (recursive or depth == 1) and sub not in found:
                    found[sub] = self.folder_entry(commit, sub)
            if recursive or len(names) == 1:
                found[path] = file_entry(path, content)
        return list(found.values())

    def folder_entry(self, commit: str, folder: str) -> dict:
        below = [(p, git_id(c)) for p, c in sorted(self.commits[commit].items()) if p.startswith(folder + "/")]
        return {"type": "directory", "path": folder, "size": 0, "oid": git_id(repr(below).encode())}


def file_entry(path: str, content: bytes) -> dict:
    entry = {"type": "file", "path": path, "size": len(content), "oid": git_id(content)}
    if is_lfs(path):
        sha256 = hashlib.sha256(content).hexdigest()
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {len(content)}\n".encode()
        lfs = {"oid": sha256, "size": len(content), "pointerSize": len(pointer)}
        entry |= {"oid": git_id(pointer), "lfs": lfs, "xetHash": sha256[::-1]}
    return entry


@contextmanager
def serving():
    """Run a Hub and its storage, each on a port of its own."""
    state = HubServer()
    servers = []
    for place, handler in (("hub", _Hub), ("storage", _Storage)):
        server = ThreadingHTTPServer(("127.0.0.1", 0), type(place, (handler,), {"state": state, "place": place}))
        server.daemon_threads = True
        setattr(state, place, f"http://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
    try:
        yield state
    finally:
        state.released.set()
        for server in servers:
            server.shutdown()
            server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    state: HubServer
    place: str

    def setup(self):
        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        super().setup()

    def log_message(self, *_):
        pass

    def note(self):
        path = unquote(urlsplit(self.path).path)
        self.state.requests.append((self.place, self.command, path))
        self.state.headers.append((self.place, {name.lower(): value for name, value in self.headers.items()}))
        return path

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def refuse(self, status, code="", message="", **headers):
        body = json.dumps({"error": message}).encode()
        self.answer(status, body, X_Error_Code=code, X_Error_Message=message, **headers)

    def fault(self, key):
        queue = self.state.faults[key]
        return queue.popleft() if queue and queue[0].at == self.place else Fault()

    def content(self, key, content, etag):
        """Send a file, or the part of it that was asked for, or what the next fault makes of it."""
        fault = self.fault(key)
        if fault.status:
            self.send_response(fault.status)
            for name, value in fault.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        content = content if fault.content is None else fault.content
        start, stop, size = 0, len(content), len(content)
        asked = self.headers.get("Range")
        if asked and not fault.ignore_range:
            first, last = asked.removeprefix("bytes=").split("-")
            start, stop = int(first), min(size, int(last) + 1)
            if start >= size:
                self.answer(416, Content_Range=f"bytes */{size}")
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{size}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(stop - start))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", f'"{etag}"')
        self.end_headers()
        self.body(key, memoryview(content)[start:stop], start, fault)

    def body(self, key, body, start, fault):
        self.state.at_once += 1
        self.state.most_at_once = max(self.state.most_at_once, self.state.at_once)
        try:
            self.send_body(key, body, start, fault)
        finally:
            self.state.at_once -= 1

    def send_body(self, key, body, start, fault):
        upto = len(body) if fault.cut is None else max(0, fault.cut - start)
        step = fault.trickle or (1 << 15)
        try:
            for place in range(0, min(upto, len(body)), step):
                if fault.trickle and self.state.released.wait(0.02):
                    return
                piece = body[place : min(place + step, upto)]
                self.connection.sendall(piece)
                self.state.sent[key] += len(piece)
        except OSError:
            return  # the client went away
        if fault.cut is not None:
            self.close_connection = True
            if fault.end == "stall":
                self.state.released.wait(30)
            if fault.end == "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.rfile.close()
                self.connection.close()


class _Storage(_Handler):
    def do_GET(self):
        self.note()
        query = parse_qs(urlsplit(self.path).query)
        path, commit = query["path"][0], query["commit"][0]
        if "Authorization" in self.headers:
            self.answer(400, b"only one auth mechanism allowed")
        elif float(query["expires"][0]) < time.time():
            self.answer(403, b"Request has expired")
        else:
            self.content(path, self.state.commits[commit][path], "x")


class _Hub(_Handler):
    def do_POST(self):
        body = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.note()
        self.api(body)

    def do_GET(self):
        path = self.note()
        if path.startswith("/api/"):
            self.api({})
        else:
            self.resolve(path)

    def known(self, repo, gate):
        """Check the token; say whether to go on."""
        sent = self.headers.get("Authorization")
        if sent not in (None, f"Bearer {TOKEN}"):
            self.refuse(401, message="Invalid credentials in Authorization header")
        elif repo != self.state.repo or (self.state.private and not sent):
            self.refuse(404 if sent else 401, "RepoNotFound", "Repository not found")
        elif gate and self.state.gated:
            page = f"{self.state.hub}/datasets/{repo}"
            message = f"Access to dataset {repo} is restricted. Visit {page} to ask for access."
            self.refuse(403 if sent else 401, "GatedRepo", message)
        else:
            return True
        return False

    def revision(self, name):
        commit = self.state.branches.get(name, name)
        if commit in self.state.commits:
            return commit
        self.refuse(404, "RevisionNotFound", f"Invalid rev id: {name}")
        return None

    def api(self, body):
        fault = self.fault("api")
        if fault.end == "stall":
            self.state.released.wait(30)
            return
        if fault.content is not None:
            self.answer(200, fault.content)
            return
        if fault.status:
            self.refuse(fault.status, **fault.headers)
            return
        raw = urlsplit(self.path).path  # a revision may hold a slash
        names = [unquote(name) for name in raw.removeprefix("/api/datasets/").split("/")]
        repo, what, rest = "/".join(names[:2]), names[2] if len(names) > 2 else "revision", names[3:] or ["main"]
        if not self.known(repo, gate=False) or not (commit := self.revision(rest[0])):
            return
        folder = "/".join(rest[1:])
        if what == "revision":
            found = {"_id": "1", "id": repo, "sha": commit}
        elif what == "paths-info":
            files = self.state.commits[commit]
            found = [file_entry(p, files[p]) for p in body["paths"] if p in files]
            found += [
                self.state.folder_entry(commit, p) for p in body["paths"] if any(f.startswith(p + "/") for f in files)
            ]
        else:
            query = parse_qs(urlsplit(self.path).query)
            recursive = query["recursive"][0].lower() == "true"
            found = self.state.entries(commit, folder + "/" if folder else "", recursive)
            if not found:
                self.refuse(404, "EntryNotFound", f"{folder} does not exist on {rest[0]}")
                return
            start = int(query.get("cursor", ["0"])[0])
            following = start + self.state.page
            if following < len(found):
                # As behind a proxy: the address is the real Hub's, not the one asked.
                url = f"http://hub.invalid{urlsplit(self.path).path}?recursive={recursive}&expand=False&cursor={following}"
                self.answer(200, json.dumps(found[start:following]).encode(), Link=f'<{url}>; rel="next"')
                return
            found = found[start:]
        self.answer(200, json.dumps(found).encode(), Content_Type="application/json")

    def resolve(self, path):
        _, _, owner, name, _, revision, *rest = path.split("/")
        file = "/".join(rest)
        queue = self.state.faults[file]
        if not self.known(f"{owner}/{name}", gate=True) or not (commit := self.revision(revision)):
            return
        if file not in self.state.commits[commit]:
            self.refuse(404, "EntryNotFound", "Entry not found")
        elif not is_lfs(file) or (queue and queue[0].at == "hub"):
            self.content(file, self.state.commits[commit][file], git_id(self.state.commits[commit][file]))
        else:
            expires = time.time() + 60
            if queue and queue[0].at == "expired":
                queue.popleft()
                expires = 0
            url = f"{self.state.storage}/blob?path={quote(file)}&commit={commit}&expires={expires}&signature=s3cr3t"
            self.answer(302, Location=url, X_Repo_Commit=commit, X_Linked_Size="1")
