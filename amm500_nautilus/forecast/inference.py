"""The trained network in numpy: a running node needs no torch, and one forecast, once a mark, costs about a millisecond."""

from collections.abc import Mapping

import numpy as np

from amm500_nautilus.forecast.samples import Samples
from amm500_nautilus.forecast.scaling import Scaler
from amm500_nautilus.forecast.series import Floats
from amm500_nautilus.forecast.series import Ints


CHUNK = 2_048


class LstmForecaster:
    """
    An LSTM of any depth with a linear head and a linear path around it.

    All layers advance together: at turn t the first layer takes row t and the second what the first gave at turn t - 1, so that one
    product a turn serves them all. Sigmoids are taken as ``(1 + tanh(x / 2)) / 2``, with the inner half folded into the weights; the
    outer halves are left out where one product can make up for them, so ``state`` holds twice the textbook's.

    Parameters
    ----------
    weights : mapping of str to array
        As torch names them: ``lstm.weight_ih_l0`` and so on, ``head.weight``, ``head.bias``, ``skip.weight``.
    scaler : Scaler
        The scaler of the training data.

    Raises
    ------
    ValueError
        If a weight is missing, or of the wrong shape.

    """

    def __init__(self, weights: Mapping[str, Floats], scaler: Scaler) -> None:
        self.scaler = scaler
        self.layers = sum(name.startswith("lstm.weight_hh_l") for name in weights)
        names = [f"lstm.{kind}_l{layer}" for layer in range(self.layers) for kind in KINDS]
        missing = [name for name in (*names, *OUTSIDE) if name not in weights]
        if missing or self.layers == 0:
            raise ValueError(f"the model lacks {', '.join(missing) or 'its layers'}")
        self.hidden = hidden = weights["lstm.weight_hh_l0"].shape[1]
        self.features = weights["lstm.weight_ih_l0"].shape[1]
        self._check_shapes(weights)
        depth = self.layers
        width = hidden * depth
        # gates of all layers side by side, one kind after another: i, f, o are sigmoids, g is a tanh
        block = np.zeros((4 * width, width))
        entry = np.zeros((4 * width, self.features))
        bias = np.zeros(4 * width)
        for layer in range(depth):
            own = np.asarray(weights[f"lstm.weight_hh_l{layer}"], dtype=np.float64)
            below = np.asarray(weights[f"lstm.weight_ih_l{layer}"], dtype=np.float64)
            both = (
                np.asarray(weights[f"lstm.bias_ih_l{layer}"], dtype=np.float64)
                + weights[f"lstm.bias_hh_l{layer}"]
            )
            for place, (gate, half) in enumerate(ORDER):
                to = slice(place * width + layer * hidden, place * width + (layer + 1) * hidden)
                take = slice(gate * hidden, (gate + 1) * hidden)
                block[to, layer * hidden : (layer + 1) * hidden] = own[take] * half
                if layer == 0:
                    entry[to] = below[take] * half
                else:
                    block[to, (layer - 1) * hidden : layer * hidden] = below[take] * half
                bias[to] = both[take] * half
        # the state is kept at twice its size; columns in a row make the product a third faster
        self._block = np.asfortranarray(block * 0.5)
        self._entry, self._bias = np.ascontiguousarray(entry.T), bias
        self._head = np.asarray(weights["head.weight"], dtype=np.float64)[0] * 0.5
        self._skip = np.asarray(weights["skip.weight"], dtype=np.float64)[0]
        self._offset = float(weights["head.bias"][0])
        # arrays, for adding a Python number costs three times as much
        self._ones, self._halves = np.ones(3 * width), np.full(width, 0.5)

    def _check_shapes(self, weights: Mapping[str, Floats]) -> None:
        hidden = self.hidden
        wanted: dict[str, tuple[int, ...]] = {
            "head.weight": (1, hidden),
            "head.bias": (1,),
            "skip.weight": (1, self.features),
        }
        for layer in range(self.layers):
            inputs = self.features if layer == 0 else hidden
            wanted[f"lstm.weight_ih_l{layer}"] = (4 * hidden, inputs)
            wanted[f"lstm.weight_hh_l{layer}"] = (4 * hidden, hidden)
            wanted[f"lstm.bias_ih_l{layer}"] = wanted[f"lstm.bias_hh_l{layer}"] = (4 * hidden,)
        for name, shape in wanted.items():
            if weights[name].shape != shape:
                raise ValueError(f"{name} has the shape {weights[name].shape}, must be {shape}")
            if not np.isfinite(weights[name]).all():
                raise ValueError(f"{name} holds a value that is no number")
        if len(self.scaler.mean) != self.features:
            raise ValueError(f"the scaler has {len(self.scaler.mean)} features, the network {self.features}")

    def variance(self, rows: Floats) -> float:
        """
        Return the forecast variance over the horizon from one window of raw features, oldest row first.

        Raises
        ------
        ValueError
            If there is no row.

        """
        if len(rows) == 0:
            raise ValueError("a window has at least one row")
        windows, lengths = rows[None], np.array([len(rows)])
        anchors = self.scaler.anchors(windows, lengths)
        output = self._run(self.scaler.windows(windows, lengths, anchors)[0])
        return float(self.scaler.variance(np.array([output]), anchors)[0])

    def _run(self, scaled: Floats) -> float:
        hidden, depth = self.hidden, self.layers
        width = hidden * depth
        rows = len(scaled)
        entry = scaled @ self._entry
        entry += self._bias
        block, bias, ones, halves = self._block, self._bias, self._ones, self._halves
        dot, add, multiply, tanh = np.dot, np.add, np.multiply, np.tanh
        state, part, products = np.zeros(width), np.empty(width), np.empty(2 * width)
        # the cell stands behind the gates, so that one product gives what comes in and what is kept
        room = np.zeros(5 * width)
        gates, sigmoids = room[: 4 * width], room[: 3 * width]
        shares, values, show = room[: 2 * width], room[3 * width :], room[2 * width : 3 * width]
        cell, added, kept = room[4 * width :], products[:width], products[width:]
        for turn in range(rows + depth - 1):
            dot(block, state, gates)
            add(gates, entry[turn] if turn < rows else bias, gates)
            tanh(gates, gates)
            add(sigmoids, ones, sigmoids)
            multiply(shares, values, products)
            add(added, kept, cell)
            multiply(cell, halves, cell)
            tanh(cell, part)
            multiply(part, show, state)
            if turn < depth - 1:
                # a layer that has not had its first input yet stays at nothing
                state[(turn + 1) * hidden :] = 0.0
                cell[(turn + 1) * hidden :] = 0.0
        return float(self._head @ state[width - hidden :] + self._skip @ scaled[-1]) + self._offset

    def variances(self, samples: Samples, chosen: Ints) -> Floats:
        """Return the forecast variance of many samples, each as :meth:`variance` would give it."""
        out = np.empty(len(chosen))
        for low in range(0, len(chosen), CHUNK):
            part = chosen[low : low + CHUNK]
            out[low : low + CHUNK] = self._many(samples.windows(part), samples.length[part])
        return out

    def _many(self, windows: Floats, lengths: Ints) -> Floats:
        hidden, depth = self.hidden, self.layers
        width = hidden * depth
        anchors = self.scaler.anchors(windows, lengths)
        scaled = self.scaler.windows(windows, lengths, anchors)
        count, rows = scaled.shape[0], scaled.shape[1]
        state, cell = np.zeros((count, width)), np.zeros((count, width))
        last = np.zeros((count, hidden))
        for turn in range(rows + depth - 1):
            gates = state @ self._block.T
            gates += scaled[:, turn] @ self._entry + self._bias if turn < rows else self._bias
            np.tanh(gates, out=gates)
            gates[:, : 3 * width] += 1.0
            come, keep, show, new = (gates[:, k * width : (k + 1) * width] for k in range(4))
            cell = (cell * keep + come * new) * 0.5
            state = np.tanh(cell) * show
            if turn < depth - 1:
                state[:, (turn + 1) * hidden :] = 0.0
                cell[:, (turn + 1) * hidden :] = 0.0
            done = lengths + depth - 2 == turn
            last[done] = state[done, width - hidden :]
        final = scaled[np.arange(count), lengths - 1]
        return self.scaler.variance(last @ self._head + final @ self._skip + self._offset, anchors)


KINDS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
OUTSIDE = ("head.weight", "head.bias", "skip.weight")
# torch stacks the gates i, f, g, o; here the three sigmoids come first
ORDER = ((0, 0.5), (1, 0.5), (3, 0.5), (2, 1.0))
