"""The acoustic model as an ONNX graph, in fp32 and int8; needs the package `onnx`."""
