"""What the OpenAPI promises is what the API does, whatever is sent."""

import json
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, Phase
from hypothesis import settings as examples
from services import api, with_token

from edge_af.config import Config
from edge_af.server.app import make_app
from edge_af.service.station import Station

schemathesis = pytest.importorskip("schemathesis", reason="needs schemathesis, of the dev extra")

ENDLESS = r"/(events|preview)$"
METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}


def openapi(folder: Path) -> dict:
    settings = Config.model_validate({"state_folder": folder, "virtual": {}})
    return make_app(Station(lambda: settings), settings).openapi()


schema = schemathesis.openapi.from_dict(openapi(Path("unused"))).exclude(path_regex=ENDLESS)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with (
        api(tmp_path_factory.mktemp("schema")) as (_, settings, address),
        with_token(settings, address) as client,
    ):
        yield client


@schema.parametrize()
@examples(
    max_examples=8,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    database=None,
)
def test_answers_are_as_described(case, served: httpx.Client):
    # A job that is begun here need not be waited for: the next request meets it under way.
    if case.method == "POST" and case.query and case.query.get("wait") != "false":
        case.query["timeout_s"] = 0.05
    case.call_and_validate(
        base_url=str(served.base_url), headers={"authorization": served.headers["authorization"]}
    )


def test_every_error_has_one_schema():
    document = openapi(Path("unused"))
    found = 0
    for path in document["paths"].values():
        for method, operation in path.items():
            assert method in METHODS
            assert {"401", "403", "405", "413"} <= operation["responses"].keys()
            for status, answer in operation["responses"].items():
                health = operation["operationId"].startswith("health") and status == "503"
                if status[0] in "45" and not health:
                    (content,) = answer["content"].values()
                    assert content["schema"] == {"$ref": "#/components/schemas/ErrorAnswer"}
                    found += 1
    assert found > 80
    assert "HTTPValidationError" not in json.dumps(document)
