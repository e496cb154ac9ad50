"""From a trained model to a network file: trace, fold to integers, write, prove.

model -> graph (reader, rules, values) -> fold (integers) -> export
"""
