package org.dit4j.vae;

import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** Another codec, but for how it encodes and decodes. */
abstract class WrappedCodec implements LatentCodec {
    final LatentCodec codec;

    WrappedCodec(LatentCodec codec) {
        this.codec = codec;
    }

    @Override
    public final int channels() {
        return codec.channels();
    }

    @Override
    public final int downsampling() {
        return codec.downsampling();
    }

    @Override
    public final LatentScaling scaling() {
        return codec.scaling();
    }

    @Override
    public final String encoderDigest() {
        return codec.encoderDigest();
    }

    @Override
    public final void to(Device device, ScalarType dtype) {
        codec.to(device, dtype);
    }

    @Override
    public final void close() {
        codec.close();
    }
}
