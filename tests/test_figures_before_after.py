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
