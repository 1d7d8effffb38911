"""Turn a trained model into an int8 .tflite with its card, on a workstation."""
