"""Sliders and lists around a figure: live in a notebook, plain everywhere else.   All chapters."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from metalearn_lib.plots.style import Drawing, picture, show
from metalearn_lib.progress import headless

if TYPE_CHECKING:
    from ipywidgets import ValueWidget


def explore(function: Callable[..., Drawing], /, *, defaults: Mapping[str, Any] | None = None, **controls: Any) -> None:
    """Draw `function(**values)` for the controls' first values; in a live notebook the reader changes them.

    A control is `(low, high)` or `(low, high, step)` for a slider (whole numbers or fractions, as its bounds
    are), a list for a drop-down list, True or False for a box to tick. It starts at its lowest or first
    value, or at `defaults[name]`. The figure is an ordinary output, redrawn in place; with METALEARN_HEADLESS=1 in the
    environment no controls are added. Raises ValueError where a control or a default makes no sense, or `function` has
    no argument of that name; TypeError where it returns something else than a figure.   Chapter: 00
    """
    values = starting_values(controls, defaults)
    _check_arguments(function, values)
    figure = _draw(function, values)
    if headless():
        show(figure)
    else:
        _live(function, controls, values, figure)


def starting_values(controls: Mapping[str, Any], defaults: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The value each control starts at: its lowest or first, or the one `defaults` gives.

    >>> starting_values({"k_shot": (1, 10), "distance": ["cosine", "euclidean"]}, {"k_shot": 5})
    {'k_shot': 5, 'distance': 'cosine'}
    """
    defaults = defaults or {}
    if not controls:
        raise ValueError("explore: no controls; give at least one, such as k_shot=(1, 10)")
    unknown = sorted(set(defaults) - set(controls))
    if unknown:
        raise ValueError(f"explore: defaults for {unknown}, but the controls are {list(controls)}")
    values = {}
    for name, control in controls.items():
        _check_control(name, control)
        value = defaults.get(name, control if isinstance(control, bool) else control[0])
        if isinstance(control, bool):
            inside = isinstance(value, bool)
        else:
            inside = value in control if isinstance(control, list) else control[0] <= value <= control[1]
        if not inside:
            raise ValueError(f"explore: the default {name}={value!r} is outside its control {control!r}")
        values[name] = value
    return values


def make_controls(controls: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, ValueWidget]:
    """One widget per control, labelled, usable from the keyboard; a slider reports when it is let go."""
    import ipywidgets

    made: dict[str, ValueWidget] = {}
    for name, control in controls.items():
        look = {"style": {"description_width": "9em"}, "layout": {"width": "32em"}}
        common = {"value": values[name], "description": name.replace("_", " "), **look}
        if isinstance(control, bool):
            made[name] = ipywidgets.Checkbox(**common)
        elif isinstance(control, list):
            made[name] = ipywidgets.Dropdown(options=control, **common)
        else:
            whole = all(isinstance(number, int) for number in control)
            low, high = control[:2]
            step = control[2] if len(control) == 3 else 1 if whole else (high - low) / 20
            kind = ipywidgets.IntSlider if whole else ipywidgets.FloatSlider
            if not whole:  # so many digits that two steps never show the same number: 3 for 0.005, 2 for 0.25
                digits = max(1, len(f"{step:.4f}".rstrip("0").partition(".")[2]))
                common["readout_format"] = f".{digits}f"
            made[name] = kind(min=low, max=high, step=step, continuous_update=False, **common)
    return made


def _live(
    function: Callable[..., Drawing], controls: Mapping[str, Any], start: dict[str, Any], figure: Drawing
) -> None:
    import ipywidgets
    from IPython.display import display

    made = make_controls(controls, start)
    message = ipywidgets.Label()
    reset = ipywidgets.Button(description="Back to the start", tooltip="Set every control to its first value")
    handle = display(picture(figure), raw=True, display_id=True)  # type: ignore[no-untyped-call]

    def redraw(_: object = None) -> None:
        values = {name: widget.value for name, widget in made.items()}
        try:
            handle.update(picture(_draw(function, values)), raw=True)
            message.value = ""
        except Exception as error:  # an error in a callback would vanish in the log: tell the reader instead
            message.value = f"Not drawn for {_listed(values)}: {error}"

    def to_start(_: object) -> None:
        for name, widget in made.items():
            widget.value = start[name]

    for widget in made.values():
        widget.observe(redraw, names="value")
    reset.on_click(to_start)
    display(ipywidgets.VBox([*made.values(), reset, message]))  # type: ignore[no-untyped-call]


def _draw(function: Callable[..., Drawing], values: Mapping[str, Any]) -> Drawing:
    figure = function(**values)
    if not isinstance(figure, Drawing):
        raise TypeError(
            f"explore: {_name(function)}({_listed(values)}) returned {type(figure).__name__}, not a figure; "
            "end it with `return plots.…` and leave the showing to explore"
        )
    return figure


def _check_control(name: str, control: Any) -> None:
    if isinstance(control, bool):
        return
    if isinstance(control, list):
        if not control:
            raise ValueError(f"explore: {name}=[] has nothing to choose from; give a list of at least one value")
        return
    rule = "give (low, high) or (low, high, step) for a slider, a list for a choice, True or False for a box"
    if not isinstance(control, tuple) or len(control) not in (2, 3):
        raise ValueError(f"explore: {name}={control!r} is no control; {rule}")
    if not all(isinstance(number, int | float) and not isinstance(number, bool) for number in control):
        raise ValueError(f"explore: {name}={control!r} holds something that is no number; {rule}")
    if not control[0] < control[1]:
        raise ValueError(f"explore: {name}={control!r}: the low end must be below the high end")
    if len(control) == 3 and not 0 < control[2] <= control[1] - control[0]:
        raise ValueError(f"explore: {name}={control!r}: the step must be above 0 and fit between the ends")


def _check_arguments(function: Callable[..., Drawing], values: Mapping[str, Any]) -> None:
    signature = inspect.signature(function)
    try:
        signature.bind(**values)
    except TypeError as error:
        raise ValueError(
            f"explore: {_name(function)}{signature} cannot be called with controls {list(values)}: {error}; "
            "give one control for each argument without a default"
        ) from None


def _name(function: Callable[..., Drawing]) -> str:
    return getattr(function, "__name__", type(function).__name__)


def _listed(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in values.items())
