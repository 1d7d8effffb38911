"""What needs TensorFlow, in a process of its own.

So a model of the Keras 2 era gets the switches that it wants without anyone else having them, what
TensorFlow prints stays out of the way, and a process that runs out of memory can be told of.
"""
