package org.dit4j.io;

import java.util.List;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** What an array of NumPy is; {@code fortran} if its first index runs fastest. */
public record NpyHeader(ScalarType dtype, List<Long> shape, boolean fortran, boolean bigEndian) {}
