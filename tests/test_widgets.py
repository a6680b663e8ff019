"""Explorations draw their first state for everybody, and add controls only where somebody can move them."""

import ipywidgets
import pytest
from matplotlib.figure import Figure

from metalearn_lib import widgets
from metalearn_lib.plots import TextFigure


class Drawer:
    """A function to explore that remembers how it was called."""

    def __init__(self) -> None:
        self.calls: list[dict[str, object]] = []

    def __call__(self, k_shot: int = 1, rate: float = 0.0, distance: str = "cosine", ring: bool = False) -> Figure:
        self.calls.append({"k_shot": k_shot, "rate": rate, "distance": distance, "ring": ring})
        if k_shot == 13:
            raise ValueError("13 brings bad luck")
        figure = Figure()
        figure.suptitle(f"k_shot={k_shot}")
        return figure


CONTROLS = {"k_shot": (1, 20), "rate": (0.0, 1.0), "distance": ["cosine", "euclidean"], "ring": True}


class Notebook:
    """Stands for a live notebook: keeps what is displayed, and what replaces it."""

    def __init__(self, monkeypatch) -> None:
        self.shown: list[object] = []
        monkeypatch.setattr(widgets, "headless", lambda: False)
        monkeypatch.setattr("IPython.display.display", self.display)

    def display(self, data, raw=False, display_id=False):
        self.shown.append(data)
        return self

    def update(self, data, raw=False):
        self.shown[0] = data

    @property
    def panel(self) -> list[ipywidgets.Widget]:
        return list(self.shown[1].children)


@pytest.fixture
def notebook(monkeypatch) -> Notebook:
    return Notebook(monkeypatch)


class TestHeadless:
    @pytest.mark.parametrize("defaults", [{}, {"k_shot": 5, "distance": "euclidean", "ring": False}])
    def test_draws_the_first_values_or_the_defaults_once(self, defaults):
        draw = Drawer()
        widgets.explore(draw, defaults=defaults, **CONTROLS)
        assert draw.calls == [{"k_shot": 1, "rate": 0.0, "distance": "cosine", "ring": True} | defaults]

    def test_the_environment_can_say_that_nobody_is_there(self, monkeypatch):
        class Shell:
            kernel = object()

        monkeypatch.setattr("IPython.core.getipython.get_ipython", Shell)
        monkeypatch.delenv("METALEARN_HEADLESS", raising=False)
        assert not widgets.headless()
        monkeypatch.setenv("METALEARN_HEADLESS", "1")
        assert widgets.headless()
        monkeypatch.setenv("METALEARN_HEADLESS", "0")
        assert not widgets.headless()


class TestControls:
    def test_sliders_have_ends_steps_and_names_and_wait_for_the_hand_to_let_go(self):
        controls = {"k_shot": (1, 9, 2), "rate": (0.0, 1.0)}
        whole, fraction = widgets.make_controls(controls, {"k_shot": 3, "rate": 0.5}).values()
        assert (whole.min, whole.max, whole.step, whole.value) == (1, 9, 2, 3)
        assert (fraction.min, fraction.max, fraction.step) == (0.0, 1.0, pytest.approx(0.05))
        assert whole.description == "k shot"
        assert not whole.continuous_update and not fraction.continuous_update

    @pytest.mark.parametrize(("step", "format"), [(0.005, ".3f"), (0.25, ".2f"), (0.5, ".1f"), (0.1 / 3, ".4f")])
    def test_the_number_beside_a_slider_has_the_digits_of_its_step(self, step, format):
        made = widgets.make_controls({"rate": (0.0, 1.0, step)}, {"rate": 0.0})
        assert made["rate"].readout_format == format

    @pytest.mark.parametrize(
        ("control", "message"),
        [
            (5, "is no control"),
            ("abc", "is no control"),
            ((1,), "is no control"),
            ((1, 2, 3, 4), "is no control"),
            ((1, "a"), "no number"),
            ((True, False), "no number"),
            ((3, 3), "low end must be below"),
            ((9, 1), "low end must be below"),
            ((1, 9, 0), "the step"),
            ((1, 9, 10), "the step"),
            ((0.0, float("nan")), "low end must be below"),
            ([], "nothing to choose"),
        ],
    )
    def test_what_is_no_control_is_refused(self, control, message):
        with pytest.raises(ValueError, match=message):
            widgets.explore(Drawer(), k_shot=control)

    def test_defaults_must_fit(self):
        for defaults in ({"k_shot": 21}, {"distance": "manhattan"}, {"ring": "yes"}, {"ring": 1}):
            with pytest.raises(ValueError, match="outside its control"):
                widgets.explore(Drawer(), defaults=defaults, **CONTROLS)
        with pytest.raises(ValueError, match="defaults for"):
            widgets.explore(Drawer(), defaults={"shots": 1}, **CONTROLS)

    def test_controls_must_be_arguments_of_the_function(self):
        with pytest.raises(ValueError, match="unexpected keyword argument 'shots'"):
            widgets.explore(Drawer(), shots=(1, 2))
        with pytest.raises(ValueError, match="missing a required argument: 'b'"):
            widgets.explore(lambda a, b: Figure(), a=(1, 2))
        with pytest.raises(ValueError, match="no controls"):
            widgets.explore(Drawer())

    def test_a_function_that_returns_no_figure_is_refused(self):
        with pytest.raises(TypeError, match="returned NoneType, not a figure"):
            widgets.explore(lambda k_shot: None, k_shot=(1, 2))


class TestLive:
    def test_a_figure_made_of_text_is_redrawn_in_place_too(self, notebook):
        widgets.explore(lambda n: TextFigure("t", f"<p>{n}</p>", f"n={n}"), n=(1, 5))
        assert notebook.shown[0] == {"text/html": "<p>1</p>", "text/plain": "n=1"}
        notebook.panel[0].value = 4
        assert notebook.shown[0] == {"text/html": "<p>4</p>", "text/plain": "n=4"}

    def test_a_figure_then_its_controls_and_moving_one_redraws_in_place(self, notebook):
        draw = Drawer()
        widgets.explore(draw, **CONTROLS)
        assert notebook.shown[0]["text/plain"] == "[figure: k_shot=1]"
        kinds = " ".join(type(widget).__name__ for widget in notebook.panel)
        assert kinds == "IntSlider FloatSlider Dropdown Checkbox Button Label"
        notebook.panel[0].value = 7
        assert draw.calls[-1]["k_shot"] == 7
        assert notebook.shown[0]["text/plain"] == "[figure: k_shot=7]"

    def test_an_error_is_told_and_the_next_move_works(self, notebook):
        widgets.explore(Drawer(), **CONTROLS)
        slider, message = notebook.panel[0], notebook.panel[-1]
        slider.value = 13
        assert "k_shot=13" in message.value and "bad luck" in message.value
        assert notebook.shown[0]["text/plain"] == "[figure: k_shot=1]"
        slider.value = 14
        assert message.value == "" and notebook.shown[0]["text/plain"] == "[figure: k_shot=14]"

    def test_the_button_goes_back_to_the_start(self, notebook):
        widgets.explore(Drawer(), defaults={"k_shot": 5}, **CONTROLS)
        notebook.panel[0].value = 9
        notebook.panel[2].value = "euclidean"
        notebook.panel[4].click()
        assert (notebook.panel[0].value, notebook.panel[2].value) == (5, "cosine")
        assert notebook.shown[0]["text/plain"] == "[figure: k_shot=5]"
