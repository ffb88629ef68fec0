"""The suite's own pytest plugins: what they refuse, they refuse in one process and in a parallel run."""

import pytest

from tests import skips

pytest_plugins = ["pytester"]

# Loaded by its name: what else is installed only takes time.
XDIST = ("-p", "xdist", "-n", "1")
ROW_MARKER = ("-o", "markers=row(id): the row proved")


@pytest.fixture(autouse=True)
def nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """A suite of one test that runs, one that is skipped and one that fails as expected."""
    pytester.makepyfile(
        test_it="""
        import pytest

        def test_runs(): pass

        @pytest.mark.parametrize("n", [1])
        def test_skips(n): pytest.skip("no browser here")

        @pytest.mark.xfail(reason="known")
        def test_known(): assert False
        """
    )
    return pytester


@pytest.mark.parametrize("parallel", [(), XDIST], ids=["one process", "xdist"])
@pytest.mark.parametrize(("ci", "result"), [("", pytest.ExitCode.OK), ("1", pytest.ExitCode.TESTS_FAILED)])
def test_a_skip_is_told_and_fails_only_in_ci(
    suite: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    parallel: tuple[str, ...],
    ci: str,
    result: pytest.ExitCode,
) -> None:
    monkeypatch.setenv("DOORSTEP_CI", ci)
    run = suite.runpytest_subprocess("-p", "tests.skips", *parallel)
    assert run.ret == result
    run.stdout.fnmatch_lines(["*test_it.py::test_skips?1?: no browser here"])
    assert ("NOT ALLOWED" in run.stdout.str()) is bool(ci)


def test_an_allowed_skip_passes_in_ci(suite: pytest.Pytester) -> None:
    plugin = skips.Skips(
        skips.read_allowed("# a comment\n\ntest_it.py::test_skips  needs a second machine\n"), strict=True
    )
    run = suite.inline_run(plugins=[plugin])
    assert plugin.reasons == {"test_it.py::test_skips[1]": "no browser here"}
    assert plugin.forbidden() == []
    assert run.ret == pytest.ExitCode.OK


def test_an_allowed_skip_says_why() -> None:
    with pytest.raises(ValueError, match="does not say why"):
        skips.read_allowed("test_it.py::test_skips\n")


@pytest.mark.parametrize("parallel", [(), XDIST], ids=["one process", "xdist"])
def test_a_test_that_names_no_row_of_the_product_fails(pytester: pytest.Pytester, parallel: tuple[str, ...]) -> None:
    pytester.makepyfile(
        test_it="""
        import pytest

        @pytest.mark.row("P99")
        def test_far(): pass

        @pytest.mark.row("P4")
        def test_near(): pass
        """
    )
    run = pytester.runpytest_subprocess("-p", "tests.rows", *ROW_MARKER, *parallel)
    run.assert_outcomes(passed=1, errors=1)
    run.stdout.fnmatch_lines(["*names row 'P99'*"])
