"""Explanations: which part of a measurement a fitted recipe's answer rests on. Above `validation`, below `report`."""
