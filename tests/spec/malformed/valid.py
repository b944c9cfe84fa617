"""Requests as the specification's OpenAPI data describes them, made up from names that exist on the server."""
import copy
import dataclasses
import pathlib
import re
import urllib.parse

import speccheck

# What examples in the specification name belongs to others; nothing here may be asked of anybody else.
FOREIGN = re.compile(r"(https?|mxc)://[^/\"']+|[a-z0-9.-]*\b(example|matrix|domain|localhost|server|element|vector)\.?(com|org|net|io|im)?\b(:\d+)?")
DEEPEST = 6


@dataclasses.dataclass
class Request:
    """A request in parts, so that each can be spoilt by itself."""

    op: object
    method: str
    path: dict
    query: list
    token: str | None
    content_type: str | None = "application/json"
    # A JSON value, or bytes to be sent as they are; None is no body.
    body: object = None
    headers: list = dataclasses.field(default_factory=list)
    # Bytes of the body that are announced and not sent.
    withheld: int = 0
    spoilt: list = dataclasses.field(default_factory=list)

    def target(self):
        """Path and query as they stand in the request line. Values that are bytes are encoded already."""
        def part(value):
            return value.decode("latin-1") if isinstance(value, bytes) else urllib.parse.quote(value, safe="")

        path = re.sub(r"\{([^}]*)\}", lambda m: part(self.path.get(m[1], "x")), self.op.path.strip())
        pairs = "&".join(f"{part(k)}={part(v)}" for k, v in self.query)
        return path + ("?" + pairs if pairs else "")


@dataclasses.dataclass
class Person:
    """A user with a device, and what is theirs."""

    id: str
    token: str
    device: str
    media: str
    backup: str
    filter: str
    admin: bool


@dataclasses.dataclass
class Room:
    """A room that everybody is in."""

    id: str
    alias: str
    events: list
    place: str


class World:
    """What exists on the server, by the names that parameters and fields have for it."""

    def __init__(self, server_name, application):
        self.server_name, self.application = server_name, application
        self.people, self.rooms, self.since = [], [], None
        # Who asks for what, in the request that is being made.
        self.person = self.room = self.op = None

    def turn(self, rng, op):
        self.person, self.room, self.op = rng.choice(self.people), rng.choice(self.rooms), op

    def named(self, rng, name):
        """A value for a parameter or field of this name, None where the name says nothing."""
        key = name.lower().replace("_", "")
        # Now and then what is another's.
        person, room = (self.person, self.room) if rng.random() < 0.9 else (rng.choice(self.people), rng.choice(self.rooms))
        if key in ("roomid", "newroom", "replacementroom"):
            return room.id
        if key == "roomidoralias":
            return rng.choice([room.id, room.alias])
        if key in ("userid", "sender", "user"):
            return person.id
        if key in ("eventid", "threadrootid", "relatesto", "redacts"):
            return rng.choice(room.events)
        if key in ("roomalias", "alias"):
            return room.alias
        if key == "deviceid":
            return person.device
        if key == "mediaid":
            return person.media
        if key in ("servername", "idserver", "via", "server", "domain"):
            return self.server_name
        if key in ("from", "since", "to", "nextbatch", "batch"):
            return self.since if self.op.path.strip().endswith(("/sync", "/events", "/changes")) else room.place
        if key == "version":
            return person.backup
        if key == "filterid":
            return person.filter
        if key == "filter":
            return rng.choice([person.filter, '{"limit":5}', '{"room":{"timeline":{"limit":2}}}'])
        if key == "appserviceid":
            return "one"
        if key in ("type", "eventtype"):
            return rng.choice(["m.room.message", "m.room.topic", "m.room.member", "m.reaction", "org.example.type", "m.tag"])
        if key == "statekey":
            return rng.choice(["", person.id])
        if key == "txnid":
            return f"t{rng.randrange(1 << 30)}"
        if key in ("username", "localpart"):
            return f"u{rng.randrange(1 << 30)}"
        if key in ("timeout", "timeoutms"):
            return rng.choice([0, 1, 10])
        if key == "password":
            return "correct horse"
        if key == "reltype":
            return rng.choice(["m.thread", "m.annotation", "m.replace", "m.reference"])
        if "url" in key or "uri" in key:
            return "http://127.0.0.1:1/x"
        return None

    def ours(self, value):
        """An example out of the specification without the names of others in it."""
        if isinstance(value, str):
            return FOREIGN.sub(lambda m: "http://127.0.0.1:1" if m[1] == "http" or m[1] == "https" else
                               f"mxc://{self.server_name}" if m[1] == "mxc" else self.server_name, value)
        if isinstance(value, list):
            return [self.ours(v) for v in value]
        if isinstance(value, dict):
            return {self.ours(k): self.ours(v) for k, v in value.items()}
        return value


class Source:
    """Makes requests of operations."""

    def __init__(self, rng, world):
        self.rng, self.world = rng, world

    def request(self, op):
        rng = self.rng
        self.world.turn(rng, op)
        document = speccheck.load(str(op.file))
        path, query = {}, []
        base = op.path[: len(op.path) - len(self.own_path(op, document))]
        shared = document["paths"].get(op.path[len(base):], {}).get("parameters", [])
        for raw in shared + op.spec.get("parameters", []):
            parameter, _ = self.follow(raw, op.file)
            name, required = parameter["name"], parameter.get("required", False)
            if parameter["in"] == "path":
                path[name] = text(self.parameter(parameter, op.file))
            elif parameter["in"] == "query" and (required or rng.random() < 0.5):
                value = self.parameter(parameter, op.file)
                for one in value if isinstance(value, list) else [value]:
                    query.append((name, text(one)))
        for name in re.findall(r"\{([^}]*)\}", op.path):
            path.setdefault(name, text(self.world.named(rng, name) or "x"))
        needed = op.spec.get("security")
        token = self.world.person.token if needed or rng.random() < 0.3 else None
        if needed and any("appservice" in key for one in needed for key in one):
            token = self.world.application
        request = Request(op, op.method, path, query, token)
        self.add_body(request)
        return request

    @staticmethod
    def own_path(op, document):
        """The operation's path without the API's base, as its document has it."""
        return max((p for p in document["paths"] if op.path.endswith(p)), key=len)

    def add_body(self, request):
        body = request.op.spec.get("requestBody")
        if not body:
            request.content_type = None
            if request.method in ("POST", "PUT"):
                request.body = {}
            return
        body, file = self.follow(body, request.op.file)
        kinds = body.get("content", {})
        if "application/json" in kinds:
            media = kinds["application/json"]
            examples = [media["example"]] if "example" in media else \
                [e["value"] for e in (self.follow(e, file)[0] for e in media.get("examples", {}).values()) if "value" in e]
            schema, _ = self.follow(media.get("schema", {}), file)
            if "example" in schema:
                examples.append(schema["example"])
            if examples and self.rng.random() < 0.5:
                request.body = self.at_home(copy.deepcopy(self.rng.choice(examples)))
            else:
                request.body = self.value(media.get("schema", {}), file, "", 0)
            if isinstance(request.body, dict) and self.rng.random() < 0.8:
                self.authenticate(request)
        else:
            request.content_type = self.rng.choice(["image/png", "application/octet-stream", "text/plain"])
            request.body = self.rng.randbytes(self.rng.choice([0, 1, 100, 5000]))

    def authenticate(self, request):
        """User-interactive authentication that is enough, where there is any."""
        if "/register" in request.op.path:
            request.body["auth"] = {"type": "m.login.dummy"}
        elif "auth" in request.body:
            user = {"type": "m.id.user", "user": self.world.person.id}
            request.body["auth"] = {"type": "m.login.password", "identifier": user, "password": "correct horse"}

    def at_home(self, value, name=""):
        """An example with the values that exist here in the fields that are named for them."""
        if isinstance(value, dict):
            return {self.world.ours(k): self.at_home(v, k) for k, v in value.items()}
        if isinstance(value, list):
            return [self.at_home(v, name) for v in value]
        if isinstance(value, (str, int)) and not isinstance(value, bool):
            known = self.world.named(self.rng, name)
            if known is not None and type(known) is type(value) and name != "type":
                return known
        return self.world.ours(value)

    def parameter(self, parameter, file):
        known = self.world.named(self.rng, parameter["name"])
        if known is not None:
            return known
        schema = parameter.get("schema", {})
        if "example" in parameter and self.rng.random() < 0.5:
            return self.world.ours(parameter["example"])
        return self.value(schema, file, parameter["name"], 0)

    def follow(self, node, file):
        """A node with its reference followed, and the file that it stands in."""
        while isinstance(node, dict) and "$ref" in node:
            where, _, fragment = node["$ref"].partition("#")
            if where:
                file = (pathlib.Path(file).parent / where).resolve()
            node = speccheck.load(str(file))
            for step in filter(None, fragment.split("/")):
                node = node[urllib.parse.unquote(step).replace("~1", "/").replace("~0", "~")]
        return node, file

    def value(self, schema, file, name, depth):
        """A value that fits a schema, more or less."""
        rng = self.rng
        schema, file = self.follow(schema, file)
        for key in ("oneOf", "anyOf"):
            if schema.get(key):
                return self.value(rng.choice(schema[key]), file, name, depth)
        if "allOf" in schema:
            parts = [self.value(part, file, name, depth) for part in schema["allOf"]]
            objects = [part for part in parts if isinstance(part, dict)]
            if not objects:
                return parts[0]
            merged = {}
            for part in objects:
                merged.update(part)
            own = {k: v for k, v in schema.items() if k != "allOf"}
            if "properties" in own:
                merged.update(self.value({"type": "object", **own}, file, name, depth))
            return merged
        if "enum" in schema:
            return rng.choice(schema["enum"])
        kind = schema.get("type", "object" if "properties" in schema else "string")
        if isinstance(kind, list):
            kind = rng.choice(kind)
        known = self.world.named(rng, name) if kind in ("string", "integer") else None
        if known is not None and isinstance(known, str) == (kind == "string"):
            return known
        if kind == "object":
            return self.object(schema, file, depth)
        if kind == "array":
            count = rng.choice([0, 1, 1, 2, 5]) if depth < DEEPEST else 0
            return [self.value(schema.get("items", {}), file, name, depth + 1) for _ in range(count)]
        if kind == "integer":
            return rng.choice([0, 1, 2, 10, 100, 1_600_000_000_000])
        if kind == "number":
            return rng.choice([0, 0.5, 1])
        if kind == "boolean":
            return rng.random() < 0.5
        if kind == "null":
            return None
        if "example" in schema and rng.random() < 0.5:
            return self.world.ours(schema["example"])
        return rng.choice(["", "x", "word of text", self.world.server_name, self.world.person.id, "ünï🎉"])

    def object(self, schema, file, depth):
        rng, out = self.rng, {}
        required = schema.get("required", [])
        for name, part in schema.get("properties", {}).items():
            if name in required or (depth < DEEPEST and rng.random() < 0.6):
                out[name] = self.value(part, file, name, depth + 1)
        more = schema.get("additionalProperties")
        if isinstance(more, dict) and depth < DEEPEST:
            for _ in range(rng.choice([0, 1, 2])):
                key = rng.choice(["x", self.world.person.id, self.world.room.id, self.world.person.device,
                                  "signed_curve25519:AAAAAQ", "ed25519:ABC"])
                out[key] = self.value(more, file, "", depth + 1)
        return out


def text(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)
