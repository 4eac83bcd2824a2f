"""Groups that a column of values makes."""

from __future__ import annotations

import numpy as np

from napari_medssl.state.column_groups import MOST_GROUPS, groups_of_column


def test_each_value_is_a_group_in_the_order_of_the_alphabet() -> None:
    groups = groups_of_column(np.array(["b", "a", "b", ""], object))
    assert [group.name for group in groups.groups.values()] == ["none", "a", "b"]
    assert groups.counts() == {0: 1, 1: 1, 2: 2}
    assert groups.names().tolist() == ["b", "a", "b", ""]
    assert not groups.history.edits


def test_rare_values_of_a_column_of_many_are_in_no_group() -> None:
    values = np.array([f"v{n % 150:03d}" for n in range(150)] + ["v149"] * 5, object)
    groups = groups_of_column(values)
    assert len(groups.groups) == MOST_GROUPS + 1
    assert "v149" in groups.names()


def test_a_value_called_none_or_of_two_lines_or_of_whole_numbers() -> None:
    assert groups_of_column(np.array(["none", "x"])).counts() == {0: 1, 1: 1}
    assert groups_of_column(np.array(["a\nb"])).names().tolist() == ["a b"]
    assert groups_of_column(np.array([3, 3, 1])).names().tolist() == ["3", "3", "1"]
    assert groups_of_column(np.zeros(0, str)).counts() == {0: 0}


def test_values_that_read_alike_are_one_group_and_unreadable_ones_none() -> None:
    groups = groups_of_column(np.array(["a\x01b", "a b", "\x01", "x" * 119 + " y"], object))
    assert groups.names().tolist() == ["a b", "a b", "", "x" * 119]
