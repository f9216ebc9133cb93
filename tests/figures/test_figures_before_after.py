import pandas as pd

from fer_utils.figures import before_after


def test_every_class_has_its_numbers_and_its_change():
    table = pd.DataFrame(
        {"n": [491, 55], "before": [0.6, 0.7], "after": [0.65, 0.6], "change": [0.05, -0.1], "low": [0.01, -0.25],
         "high": [0.09, 0.05]},
        index=["Angry", "Disgust"],
    )
    left, right = before_after.class_changes(table, "F1", sides=("whole", "aligned")).axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["Angry (n = 491)", "Disgust (n = 55)"]
    assert [text.get_text() for text in right.texts] == ["+5.0", "-10.0"]
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["whole", "aligned"]
    # What may be chance is gray.
    colors = [line.get_color() for line in right.lines[1::2]]
    assert colors[0] != colors[1]


def test_a_strength_whose_interval_leaves_out_zero_is_in_colour():
    rows = [("none", 0, "as it is", 0.0), *(("blur", at, f"σ {at} px", at / 50) for at in (1, 2, 3, 4, 5))]
    table = pd.DataFrame(rows, columns=["change", "strength", "setting", "difference"])
    table["low"], table["high"] = table["difference"] - 0.05, table["difference"] + 0.05
    axis, legend, *_ = before_after.robustness_changes(table, "Aligned − whole").axes
    assert axis.get_title(loc="left") == "blur, σ px" and len(legend.get_legend().get_texts()) == 2
    zero, *lines = axis.lines
    assert list(zero.get_ydata()) == [0, 0]
    assert [line.get_ydata()[0] for line in lines[1::2]] == table["difference"].tolist()
    colors = [line.get_color() for line in lines[1::2]]
    assert len(set(colors[:3])) == 1 and len(set(colors[3:])) == 1 and colors[0] != colors[-1]
