package org.dit4j.checkpoint;

import java.util.Map;
import org.bytedeco.pytorch.Tensor;

/** What one file of a checkpoint holds: tensors by name, and metadata. */
public record CheckpointPart(Map<String, Tensor> tensors, Map<String, String> metadata) {}
