"""Figures hold what they were given, name it, and nothing in them overlaps."""

import base64
import io
from functools import partial
from itertools import combinations
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
import torch
from IPython.core.formatters import DisplayFormatter
from matplotlib import pyplot
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from metalearn_lib import plots
from metalearn_lib.corpora import Corpus
from metalearn_lib.episodes import Episodes, EpisodeSampler
from metalearn_lib.plots.style import SETTINGS, picture, png, title_of, wrap
from metalearn_lib.scores import Score

parse = ElementTree.fromstring  # strict: every tag is closed
LONG = "a prototypical network with a convolutional encoder, meta-trained for 800 steps"
X, BAND = (1, 2, 5, 10), ([1.0, 2, 3, 4], [0.5, 1, 2, 3], [1.5, 3, 4, 5])
curves = partial(plots.curves, X, title="t", xlabel="shots", ylabel="points")
WAVE = np.linspace(-5, 5, 21)
LINES = {steps: np.sin(WAVE) * steps / 10 for steps in (0, 1, 5, 10)}
PANELS = {"MAML": LINES, "joint training": LINES}
POINTS = ([-1.0, 2.0], [0.3, -0.4])
BOXES = {"start": (0, 0, "learned"), "after": (1, 0, "computed"), "loss": (2, 0, "computed"), "text": (1, 1, "data")}
ARROWS = [("start", "after", "step"), ("after", "loss", ""), ("text", "after", "")]
adaptation = partial(plots.adaptation, WAVE, points=POINTS, title="It adapts")


def score(mean: float, *, key: str = "same", n: int = 100) -> Score:
    noise = np.random.default_rng(0).normal(0, 0.05, n)
    return Score.of(np.clip(mean + noise, 0, 1), key=(key,), over="episodes")


@pytest.fixture
def scores() -> dict[str, Score]:
    return {"tf-idf centroid": score(0.4), LONG: score(0.5), "GloVe centroid": score(0.4), "worse": score(0.3)}


@pytest.fixture
def episode() -> Episodes:
    names = ["talk.politics.mideast", "rec.sport.hockey", "soc.religion.christian", "misc.forsale", "sci.med"]
    texts = [f"{name} post number {i} costs $5 or $6 " + "and so on " * 30 for name in names for i in range(8)]
    corpus = Corpus("posts", texts=texts, labels=[name for name in names for _ in range(8)])
    return EpisodeSampler(corpus, n_way=5, k_shot=2, n_query=5, seed=0).sample(2)


@pytest.fixture
def shown(monkeypatch) -> list[dict[str, str]]:
    """What a notebook is given to display."""
    outputs: list[dict[str, str]] = []
    monkeypatch.setattr("IPython.core.interactiveshell.InteractiveShell.initialized", lambda: True)
    monkeypatch.setattr("IPython.display.display", lambda data, raw: outputs.append(data))
    return outputs


def by_class(noise: float, pull: float = 0.0):
    """An encoder that puts class c at the c-th corner of a simplex, with noise; `pull` mixes the classes up."""

    def encode(x: torch.Tensor, pool: Corpus | None) -> torch.Tensor:
        corner = torch.eye(len(pool.classes))[[pool.classes.index(pool.labels[i]) for i in x.flatten()]]
        spread = torch.randn(corner.shape, generator=torch.Generator().manual_seed(0))
        return ((1 - pull) * corner + noise * spread).reshape(*x.shape, -1)

    return encode


def texts_of(figure: Figure) -> list[Text]:
    """All visible texts, after the layout is done; ticks outside the view are not drawn."""
    FigureCanvasAgg(figure).draw()
    outside = set()
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        low, high = sorted(axis.get_view_interval())
        place = 0 if axis.axis_name == "x" else 1
        outside |= {label for label in axis.get_ticklabels() if not low <= label.get_position()[place] <= high}
    return [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip() and t not in outside]


def overlaps(figure: Figure) -> list[tuple[str, str]]:
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts_of(figure)]
    touching = [(a, b) for (a, x), (b, y) in combinations(boxes, 2) if x.padded(-1).overlaps(y.padded(-1))]
    width, height = figure.canvas.get_width_height()
    outside = [(a, "the edge") for a, x in boxes if x.x0 < -1 or x.y0 < -1 or x.x1 > width + 1 or x.y1 > height + 1]
    return touching + outside


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda _: plots.compare({}, title="t"), "no scores"),
        (lambda _: plots.compare({"a": score(0.5)}, floor="nobody", title="t"), "floor: 'nobody' is not among"),
        (lambda _: plots.compare({"a": score(0.5)}, controls=["a", "b"], title="t"), "controls: 'b' is not among"),
        (lambda _: plots.compare({"a": score(0.5)}, chance=20, title="t"), r"chance=20\): must be a share"),
        (
            lambda _: plots.compare({"a": Score.of([1, 2], share=False)}, chance=0.2, title="t"),
            "scores that are shares",
        ),
        (lambda _: curves({}), "no lines"),
        (lambda _: curves({"a": [1, 2]}), "x has 4 values"),
        (lambda _: curves({"a": BAND}, floor="b"), "'b' is not among"),
        (lambda _: adaptation(WAVE, {}), "no panels"),
        (lambda _: adaptation(WAVE, {"MAML": {5: [1, 2, 3]}}), r"MAML after 5 steps has shape \(3,\), x has 21"),
        (lambda _: adaptation([0.0], PANELS), "the truth"),
        (lambda _: plots.diagram({"a": (0, 0, "magic")}, [], title="t"), "'a' is of the kind 'magic'"),
        (lambda _: plots.diagram({"a": (0, 0, "data")}, [("a", "b", "")], title="t"), "touches 'b', which is no box"),
        (lambda episode: plots.episode_map(by_class(0.1), episode, title="t", task=2), "use 0 … 1"),
        (lambda episode: plots.episode_map(by_class(float("nan")), episode, title="t"), "not finite"),
        (lambda _: plots.heatmap([[1, 2, 3]], ["a"], ["x", "y"], title="t"), "1 rows and 2 columns"),
        (lambda episode: plots.episode_table(episode, title="t", task=2), "use 0 … 1"),
        (lambda episode: plots.episode_table(episode, title="t", characters=3), "characters=3"),
        (lambda _: plots.text_weights(["a", "b"], [1.0], title="t"), "one finite number for each word"),
        (lambda _: plots.text_weights(["a"], [float("nan")], title="t"), "one finite number for each word"),
    ],
)
def test_bad_input_is_told(draw, message, episode):
    with pytest.raises(ValueError, match=message):
        draw(episode)


def test_an_overlap_would_be_noticed():
    figure = Figure()
    figure.text(0.5, 0.5, "one over")
    figure.text(0.52, 0.5, "the other")
    figure.text(0.99, 0.9, "cut at the edge")
    assert overlaps(figure) == [("one over", "the other"), ("cut at the edge", "the edge")]


class TestCompare:
    def test_each_method_has_a_named_row_with_dot_interval_and_number(self, scores):
        figure = plots.compare(scores, floor="tf-idf centroid", title="Found")
        axes = figure.axes[0]
        bars = [line for line in axes.lines if len(line.get_xdata()) == 2 and line.get_linestyle() == "-"]
        for bar, value in zip(bars, scores.values(), strict=True):
            assert list(bar.get_xdata()) == pytest.approx([100 * value.low, 100 * value.high])
        assert [text.get_text() for text in axes.texts] == [f"{100 * s.mean:.1f}" for s in scores.values()]
        assert [label.get_text().replace("\n", " ") for label in axes.get_yticklabels()] == list(scores)
        assert title_of(figure) == "Found" and "accuracy (%)" in axes.get_xlabel()

    def test_floor_is_dashed_at_its_mean_and_chance_dotted(self, scores):
        axes = plots.compare(scores, floor="tf-idf centroid", chance=0.25, title="t").axes[0]
        rules = {
            line.get_linestyle(): line.get_xdata()[0] for line in axes.lines if line.get_linestyle() in ("--", ":")
        }
        assert rules == pytest.approx({"--": 100 * scores["tf-idf centroid"].mean, ":": 25})
        assert axes.get_xlim()[0] < 25

    @pytest.mark.parametrize(("chance", "where"), [(0.2, "left"), (0.7, "right")])
    def test_chance_far_away_is_told_instead_of_drawn(self, scores, chance, where):
        figure = plots.compare(scores, chance=chance, title="t")
        assert ":" not in {line.get_linestyle() for line in figure.axes[0].lines}
        legend = [text.get_text() for text in figure.legends[0].get_texts()]
        assert legend == [f"chance, {100 * chance:.0f} %: {where} of the axis"]

    @pytest.mark.parametrize("shift", [0, 0.2, -0.3, 0.49])
    def test_the_axis_ends_where_the_numbers_end(self, scores, shift):
        moved = {name: Score.of(value.values + shift) for name, value in scores.items()}
        figure = plots.compare(moved, floor="worse", title="t")
        begin, end = figure.axes[0].get_xlim()
        low, high = 100 * min(s.low for s in moved.values()), 100 * max(s.high for s in moved.values())
        assert max(-0.001, low - 5) < begin <= max(low, 0) and min(high, 100) <= end < min(high + 5, 100.001)
        FigureCanvasAgg(figure).draw()
        window = figure.axes[0].get_window_extent().padded(1)
        for text in figure.axes[0].texts:
            box = text.get_window_extent()
            assert window.x0 <= box.x0 and box.x1 <= window.x1

    def test_one_value_has_an_axis_too(self):
        for alike in ([0.5, 0.5], [1.0, 1.0], [0.0, 0.0]):
            begin, end = plots.compare({"a": Score.of(alike)}, title="t").axes[0].get_xlim()
            assert 0 <= begin < end <= 100 and 1 <= end - begin < 3
        for alike in ([0.0, 0.0], [-2e-5, -2e-5], [3e6, 3e6]):
            begin, end = plots.compare({"a": Score.of(alike, share=False)}, title="t").axes[0].get_xlim()
            assert begin < alike[0] < end

    @pytest.mark.parametrize("panels", [1, 3])
    def test_no_line_runs_through_a_number(self, panels):
        rows = {f"row {n}": score(0.3 + n / 100, key=str(n)) for n in range(15)}  # some end just left of the floor
        shown = {f"{n}": rows for n in range(panels)} if panels > 1 else rows
        for floor in ("row 0", "row 7", "row 14"):
            figure = plots.compare(shown, floor=floor, chance=0.25, title="t")
            FigureCanvasAgg(figure).draw()
            for axes in figure.axes:
                lines = [line.get_xdata()[0] for line in axes.lines if line.get_linestyle() in ("--", ":")]
                assert len(lines) == 2
                for text in axes.texts:
                    box = text.get_window_extent()
                    for line in lines:
                        assert not box.x0 < axes.transData.transform((line, 0))[0] < box.x1, (floor, text)

    def test_controls_are_marked_and_have_no_standing(self, scores):
        figure = plots.compare(scores, floor="tf-idf centroid", controls=[LONG, "worse"], title="t")
        markers = [line.get_marker() for line in figure.axes[0].lines if line.get_marker() not in ("None", "")]
        assert markers == ["|", "D", "s", "D"]
        legend = [text.get_text() for text in figure.legends[0].get_texts()]
        assert legend == ["no clear difference (95 %)", "control", "floor: tf-idf centroid"]
        only = plots.compare(scores, floor="worse", controls=["worse"], title="t")
        assert "control" not in [text.get_text() for text in only.legends[0].get_texts()]

    def test_the_figure_says_what_its_intervals_are_over(self, scores):
        def said(given, **options):
            figure = plots.compare(given, title="t", **options)
            heading = figure.legends[0].get_title().get_text() if figure.legends else ""
            return " | ".join([*(axes.get_xlabel().replace("\n", " ") for axes in figure.axes), heading]).strip(" |")

        trained = Score.over_trainings([score(0.5), score(0.52), score(0.54)])
        texts = Score.of([0.0, 1.0, 1.0], over="texts")
        assert said(scores) == "mean accuracy (%), 95 % interval over 100 episodes"
        assert said({"a": score(0.5), "b": score(0.5, n=50)}) == "mean accuracy (%), 95 % interval over episodes"
        assert said({"a": trained}) == "mean accuracy (%), 95 % interval over 3 trainings"
        assert said({"a": score(0.5), "b": texts}) == "mean accuracy (%), 95 % interval"
        assert said({"a": Score.of([1.0, 2.0], share=False)}) == "mean, 95 % interval"  # of whatever they are
        both = {"a": trained, "tf-idf": score(0.4), "raw": score(0.3)}
        assert said(both, floor="tf-idf", controls=["raw"]).endswith(
            "95 % interval over 3 trainings (floor and controls: over 100 episodes)"
        )
        assert said({"a": trained, "raw": score(0.3)}, controls=["raw"]).endswith("(controls: over 100 episodes)")
        assert said(both) == "mean accuracy (%), 95 % interval"
        assert said({"1 shot": {"a": trained}, "5 shots": {"a": trained}}) == (
            "mean accuracy (%) | mean accuracy (%) | 95 % interval over 3 trainings"
        )
        assert said({"1 shot": {"a": trained}, "5 shots": {"a": score(0.5)}}) == (
            "mean accuracy (%), 95 % interval over 3 trainings | mean accuracy (%), 95 % interval over 100 episodes"
        )
        assert said(scores, xlabel="mine") == "mine"

    def test_panels_of_one_kind_share_an_axis(self, scores):
        figure = plots.compare({"1 shot": scores, "5 shots": {LONG: score(0.8)}}, title="t")
        assert figure.axes[0].get_xlim() == figure.axes[1].get_xlim()

    def test_markers_say_where_a_method_stands(self, scores):
        figure = plots.compare(scores, floor="tf-idf centroid", title="t")
        markers = [line.get_marker() for line in figure.axes[0].lines if line.get_marker() not in ("None", "")]
        assert markers == ["|", "o", "s", "v"]
        legend = " ".join(text.get_text() for text in figure.legends[0].get_texts())
        assert all(words in legend for words in ("above the floor", "no clear difference", "below the floor"))

    def test_panels_share_rows(self, scores):
        figure = plots.compare({"1 shot": scores, "5 shots": {LONG: score(0.6)}}, title="t")
        assert [axes.get_title() for axes in figure.axes] == ["1 shot", "5 shots"]
        assert len(figure.axes[1].texts) == 1

    @pytest.mark.parametrize("panels", [1, 2, 3])
    def test_nothing_overlaps(self, scores, panels):
        given = {f"{n} shots": scores for n in range(panels)} if panels > 1 else scores
        for floor in ("tf-idf centroid", LONG):
            figure = plots.compare(
                given, floor=floor, controls=["worse"], chance=0.2, title=f"{LONG}: {LONG}, and more"
            )
            assert overlaps(figure) == []


class TestCurves:
    def test_lines_bands_and_floor(self):
        figure = curves({"ours": BAND, "tf-idf": BAND, "mean only": BAND[0]}, floor="tf-idf")
        axes = figure.axes[0]
        assert len(axes.lines) == 3 and len(axes.collections) == 2
        assert axes.lines[1].get_linestyle() == "--" and axes.lines[1].get_color() == plots.FLOOR
        assert (axes.get_xlabel(), axes.get_ylabel()) == ("shots", "points")
        assert overlaps(figure) == []

    def test_each_line_differs_in_colour_marker_and_style(self):
        drawn = curves({f"line {i}": BAND for i in range(6)}).axes[0].lines
        looks = [(line.get_color(), line.get_marker(), str(line._unscaled_dash_pattern)) for line in drawn]
        assert [len(set(look)) for look in zip(*looks, strict=True)] == [6, 6, 6]

    def test_a_number_as_floor_and_few_points_on_a_log_axis(self):
        figure = curves({"a": BAND}, floor=2.5, logx=True, title=LONG * 2)
        axes = figure.axes[0]
        assert axes.lines[-1].get_ydata()[0] == 2.5
        assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "2", "5", "10"]
        assert overlaps(figure) == []


class TestAdaptation:
    def test_truth_points_and_a_line_for_each_number_of_steps(self):
        figure = adaptation(np.sin(WAVE), PANELS)
        assert [axes.get_title() for axes in figure.axes] == list(PANELS)
        for axes in figure.axes:
            truth, *lines, points = axes.get_lines()
            assert np.allclose(truth.get_ydata(), np.sin(WAVE)) and np.allclose(points.get_xydata().T, POINTS)
            assert [line.get_label() for line in lines] == ["before", "after 1 step", "after 5 steps", "after 10 steps"]
            assert len({str(line.get_linestyle()) + str(line._dash_pattern) for line in lines}) == 4
        assert overlaps(figure) == []

    def test_a_learner_may_lack_a_line(self):
        figure = adaptation(WAVE, PANELS | {"joint training": {0: np.zeros(21)}})
        assert [len(axes.get_lines()) for axes in figure.axes] == [6, 3]


class TestDiagram:
    def test_boxes_stand_where_they_were_put_and_nothing_overlaps(self):
        figure = plots.diagram(BOXES, ARROWS, back=[("loss", "start", "gradient")], title="A loop")
        texts = {text.get_text(): text for text in figure.axes[0].texts if text.get_text()}
        assert set(texts) == {*BOXES, "step", "gradient"}
        x, y = ({name: text.get_position()[axis] for name, text in texts.items()} for axis in (0, 1))
        assert x["start"] < x["after"] == x["text"] < x["loss"] and y["text"] < y["start"] == y["loss"]
        assert y["gradient"] > y["after"] and x["start"] < x["gradient"] < x["loss"], "the gradient passes above"
        assert [text.get_text() for text in figure.legends[0].get_texts()] == [
            "data", "computed", "learned across tasks", "gradient, backwards",
        ]  # fmt: skip
        assert overlaps(figure) == []

    def test_what_returns_is_called_as_asked(self):
        figure = plots.diagram(BOXES, ARROWS, back=[("loss", "start", "")], back_label="update of θ", title="A loop")
        assert [text.get_text() for text in figure.legends[0].get_texts()][-1] == "update of θ"
        assert overlaps(figure) == []

    def test_one_row_and_no_gradient(self):
        figure = plots.diagram({"a": (0, 0, "data"), "b": (3, 0, "data")}, [("a", "b", "")], title="A line")
        assert [text.get_text() for text in figure.legends[0].get_texts()] == ["data"]


class TestEpisodes:
    def test_map_draws_every_example_and_rings_only_errors(self, episode):
        figure = plots.episode_map(by_class(0.01), episode, title="An episode")
        points = [len(line.get_xdata()) for line in figure.axes[0].lines]
        assert points == [5, 2, 1] * 5 + [0]  # per class: queries, support, prototype; then the rings
        assert "main direction" in figure.axes[0].get_xlabel()

    def test_map_rings_queries_nearer_to_another_prototype(self, episode):
        figure = plots.episode_map(by_class(1.0, pull=1.0), episode, title="Noise only", task=1)
        rings = figure.axes[0].lines[-1]
        assert len(rings.get_xdata()) > 5
        labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
        assert any(f"{len(rings.get_xdata())} of 25" in label for label in labels)

    def test_map_legend_stands_outside_the_data(self, episode):
        figure = plots.episode_map(by_class(0.3), episode, title=f"{LONG}: {LONG}")
        assert overlaps(figure) == []
        legend, axes = figure.axes[0].get_legend(), figure.axes[0]
        assert legend.get_window_extent().x0 >= axes.get_window_extent().x1


class TestMatrices:
    def test_heatmap_prints_each_value(self):
        figure = plots.heatmap(
            [[0.1, 0.9, 0.5], [1, 0, 0.25]], ["a", "b"], ["x", "y", "z"], title="t", xlabel="to", ylabel="from"
        )
        assert [text.get_text() for text in figure.axes[0].texts] == ["0.10", "0.90", "0.50", "1.00", "0.00", "0.25"]
        assert overlaps(figure) == []

    @pytest.mark.parametrize("n", [7, 12, 20])
    def test_long_names_do_not_overlap(self, n):
        names = [f"talk.politics.mideast.{i}" for i in range(n)]
        figure = plots.heatmap(np.eye(n), names, names, title="t", xlabel="predicted", ylabel="true")
        assert overlaps(figure) == []
        assert len(figure.axes) == (2 if n > 16 else 1)  # a colour bar where numbers do not fit


def inside(page: ElementTree.Element, tag: str) -> list[str]:
    """The text of each element of this kind that has any."""
    return ["".join(element.itertext()) for element in page.iter(tag)]


class TestTexts:
    def test_table_shows_support_then_queries(self, episode):
        figure = plots.episode_table(episode, title="Posts", queries=1)
        page = parse(figure.html)
        assert inside(page, "th") == ["role", "class", "text", *["support"] * 10, *["query"] * 5]
        assert inside(page, "caption") == inside(page, "b") == ["Posts"]
        assert inside(page, "span") == [episode.classes[0][y] for y in [*episode.support_y[0].tolist(), 0, 1, 2, 3, 4]]
        assert len(page.findall(".//*[@scope]")) == 3 + 15
        lines = str(figure).split("\n")
        assert lines[0] == "Posts" and [line.split()[0] for line in lines[1:]] == ["support"] * 10 + ["query"] * 5

    def test_table_can_hide_the_queries(self, episode):
        page = parse(plots.episode_table(episode, title="t", hide_queries=True).html)
        assert inside(page, "span")[10:] == ["?"] * 5
        assert inside(page, "th")[13:] == [f"query {c}" for c in "ABCDE"]
        texts = inside(page, "td")[1::2][10:]
        assert len(texts) == 5 and texts == sorted(texts)

    def test_each_word_once_in_order_and_the_heaviest_underlined(self):
        words = [f"word{i}" for i in range(60)] + ["$1", "$2"]
        figure = plots.text_weights(words, np.arange(62), title=LONG, label="attention")
        page = parse(figure.html)
        assert inside(page, "span") == words
        assert inside(page, "u") == words[-7:] and inside(page, "b") == [LONG]
        assert [word.attrib["title"] for word in page.iter("span")][:2] == ["attention 0.0", "attention 1.0"]
        (legend,) = inside(page, "small")
        assert "attention from 0.0 to 61.0" in legend and "Heaviest: $2 61.0, $1 60.0, word59 59.0" in legend
        assert "*word59* *$1* *$2*" in str(figure) and LONG in str(figure)

    def test_shaded_words_are_readable(self):
        """WCAG asks for a contrast of 4.5 between letters and their ground."""
        page = parse(plots.text_weights(["w"] * 50, np.linspace(-1, 1, 50), title="t").html)
        grounds = [word.attrib["style"].removeprefix("background:") for word in page.iter("span")]
        assert len(set(grounds)) > 40 and "color:#000000" in page.find("p").attrib["style"]
        for ground in grounds:
            rgb = np.array(matplotlib.colors.to_rgb(ground))
            linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
            assert (linear @ [0.2126, 0.7152, 0.0722] + 0.05) / 0.05 >= 4.5

    def test_small_weights_keep_their_digits_and_equal_ones_are_not_underlined(self):
        page = parse(plots.text_weights(["a", "b"], [0.0012345, 0.0001], title="t").html)
        assert "from 0.00010 to 0.00123" in inside(page, "small")[0]
        assert inside(parse(plots.text_weights(["a", "b"], [0.0, 0.0], title="t").html), "u") == []

    def test_texts_and_titles_cannot_break_the_page(self):
        evil = "<script>alert('x')</script> & </table>"
        corpus = Corpus("evil", texts=[f"{evil} {i}" for i in range(6)], labels=[evil, "b"] * 3)
        sample = EpisodeSampler(corpus, n_way=2, k_shot=1, n_query=1, seed=0).sample()
        table = plots.episode_table(sample, title=evil)
        for figure in (table, plots.text_weights([evil, "b"], [1, 0], title=evil, label='"><script>')):
            page = parse(figure.html)
            assert page.find(".//script") is None and inside(page, "b") == [evil]

    def test_dollars_are_no_formulas(self, episode):
        for figure in (plots.episode_table(episode, title="t"), plots.text_weights(["$5", "$6"], [1, 0], title="t")):
            assert parse(figure.html).attrib["class"].split() == ["mathjax_ignore", "tex2jax_ignore"]

    def test_a_notebook_gets_html_and_plain_text_the_same_each_time(self, episode):
        first, again = (plots.episode_table(episode, title="Posts") for _ in range(2))
        shown, _ = DisplayFormatter().format(first)
        assert shown == {"text/html": first.html, "text/plain": repr(first)} == picture(again)

    def test_show_displays_it_as_one_output(self, episode, shown):
        plots.show(plots.episode_table(episode, title="Posts"))
        assert [set(data) for data in shown] == [{"text/html", "text/plain"}]


class TestStyle:
    def test_a_figure_of_ones_own_has_a_title(self):
        assert title_of(plots.canvas(4, 3, "Mine")) == "Mine"

    def test_drawing_leaves_the_settings_of_others_alone(self, scores):
        before = dict(matplotlib.rcParams)
        plots.compare(scores, title="t")
        assert dict(matplotlib.rcParams) == before

    def test_style_makes_faces_white(self):
        with matplotlib.rc_context():
            plots.style()
            assert matplotlib.rcParams["figure.facecolor"] == matplotlib.rcParams["axes.facecolor"] == "white"
        assert "text.parse_math" not in SETTINGS  # formulas in labels still work

    def test_show_displays_exactly_one_png_and_closes(self, scores, shown):
        figure = pyplot.figure()
        figure.add_subplot().set_title("Its own title")
        plots.show(figure)
        plots.show(plots.compare(scores, title="A finding"))
        assert [data["text/plain"] for data in shown] == ["[figure: Its own title]", "[figure: A finding]"]
        assert all(set(data) == {"image/png", "text/plain"} for data in shown)
        assert all(base64.b64decode(data["image/png"]).startswith(b"\x89PNG") for data in shown)
        assert pyplot.get_fignums() == []

    def test_show_outside_a_notebook_is_silent(self, scores, capsys):
        plots.show(plots.compare(scores, title="t"))
        assert capsys.readouterr().out == ""

    def test_show_refuses_what_is_no_figure(self):
        with pytest.raises(TypeError, match="got Axes"):
            plots.show(Figure().subplots())

    def test_png_is_small_and_the_same_each_time(self, scores):
        first = png(plots.compare(scores, title="t"))
        assert first == png(plots.compare(scores, title="t")) and len(first) < 60_000

    def test_palette_survives_the_saving_of_colours(self):
        figure = curves({str(i): [i] * 4 for i in range(8)})
        pixels = np.asarray(Image.open(io.BytesIO(png(figure))).convert("RGB")).reshape(-1, 3).astype(int)
        for colour in plots.PALETTE:
            rgb = 255 * np.array(matplotlib.colors.to_rgb(colour))
            assert np.abs(pixels - rgb).max(1).min() < 10

    @pytest.mark.parametrize("text", ["", "one", "two words", "talk.politics.mideast", "x" * 50, "a\nb", LONG])
    def test_wrap_keeps_every_letter_and_the_width(self, text):
        wrapped = wrap(text, 12)
        assert "".join(wrapped.split()) == "".join(text.split())
        assert all(len(line) <= 12 for line in wrapped.split("\n"))
