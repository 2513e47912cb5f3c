import pytest

from tidemill.serving.routes import Route, RouteAction, find_route


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/v2", Route(RouteAction.SERVER)),
        ("/v2/", Route(RouteAction.SERVER)),
        ("/v2/health/live", Route(RouteAction.LIVE)),
        ("/v2/health/ready", Route(RouteAction.READY)),
        ("/v2/models/delays", Route(RouteAction.MODEL, "delays")),
        ("/v2/models/delays/ready", Route(RouteAction.MODEL_READY, "delays")),
        ("/v2/models/delays/infer", Route(RouteAction.INFER, "delays")),
        ("/v2/models/delays/versions/0b92", Route(RouteAction.MODEL, "delays", "0b92")),
        ("/v2/models/delays/versions/0b92/infer", Route(RouteAction.INFER, "delays", "0b92")),
        # A model may be called what a route is called.
        ("/v2/models/versions/infer", Route(RouteAction.INFER, "versions")),
        ("/predict/delays", Route(RouteAction.PREDICT, "delays")),
        # An escaped slash is part of the name.
        ("/predict/a%2Fb", Route(RouteAction.PREDICT, "a/b")),
        ("/predict/z%C3%BCrich", Route(RouteAction.PREDICT, "zürich")),
        ("/metrics", Route(RouteAction.METRICS)),
        ("/openapi.json", Route(RouteAction.OPENAPI)),
        ("/", Route(RouteAction.DOCS)),
    ],
)
def test_a_path_names_a_route(path: str, route: Route) -> None:
    assert find_route(path) == route


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/predict/",
        "/predict/a/b",
        "/v2/models",
        "/v2/models/",
        "/v2/models/a/other",
        "/v2/models/a/infer/more",
        "/v2/models/a/versions",
        "/v2/models/a/versions/",
        "/v2/repository/index",
        "/v2//health/live",
    ],
)
def test_other_paths_have_none(path: str) -> None:
    assert find_route(path) is None


def test_predictions_are_posted() -> None:
    assert Route(RouteAction.INFER, "a").methods == ("POST",)
    assert Route(RouteAction.MODEL, "a").methods == ("GET", "HEAD")
