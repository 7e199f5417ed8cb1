"""The messages of the Open Inference Protocol over gRPC, generated from open_inference.proto."""
