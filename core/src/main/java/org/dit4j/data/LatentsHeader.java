package org.dit4j.data;

import com.fasterxml.jackson.annotation.JsonInclude;
import java.util.List;
import java.util.Objects;

/**
 * What the latents of a {@link LatentCache} are, and which autoencoder made them.
 *
 * @param encoderDigest the autoencoder's, SHA-256 in hex
 * @param scale latents = (rawLatents − shift) · scale
 * @param shift as for {@code scale}
 * @param imageHeight of the pictures that were encoded
 * @param imageWidth as {@code imageHeight}
 * @param channels of the latents, C
 * @param height of the latents, h
 * @param width of the latents, w
 * @param hasVariance whether a variance is stored beside each mean
 * @param classNames one per class; a label is an index into this list
 * @param probe what the encoder makes of a fixed picture, by which a rounded copy of it is known; empty where nobody took it, and not
 *     compared by {@link #equals}
 */
public record LatentsHeader(
        String encoderDigest,
        double scale,
        double shift,
        int imageHeight,
        int imageWidth,
        int channels,
        int height,
        int width,
        boolean hasVariance,
        List<String> classNames,
        @JsonInclude(JsonInclude.Include.NON_EMPTY) List<Double> probe) {
    private static final int MAX_SIDE = 1 << 16, MAX_ELEMENTS = 1 << 26;

    /** @throws IllegalArgumentException naming the value that cannot be */
    public LatentsHeader {
        Objects.requireNonNull(encoderDigest, "encoderDigest");
        require(encoderDigest.matches("[0-9a-f]{64}"), "encoderDigest \"" + encoderDigest + "\" is no SHA-256 in hex");
        require(scale > 0 && Double.isFinite(scale), "scale is " + scale + "; a positive number");
        require(Double.isFinite(shift), "shift is " + shift + "; a finite number");
        for (int side : new int[] {imageHeight, imageWidth, channels, height, width})
            require(side >= 1 && side <= MAX_SIDE, "a size is " + side + ", outside 1 … " + MAX_SIDE);
        require(
                (long) channels * height <= MAX_ELEMENTS / width,
                "one item has more than " + MAX_ELEMENTS + " numbers");
        classNames = List.copyOf(classNames);
        require(!classNames.isEmpty(), "there are no classes");
        probe = probe == null ? List.of() : List.copyOf(probe);
    }

    /** Of an encoder that is known by its digest only. */
    public LatentsHeader(
            String encoderDigest,
            double scale,
            double shift,
            int imageHeight,
            int imageWidth,
            int channels,
            int height,
            int width,
            boolean hasVariance,
            List<String> classNames) {
        this(
                encoderDigest,
                scale,
                shift,
                imageHeight,
                imageWidth,
                channels,
                height,
                width,
                hasVariance,
                classNames,
                List.of());
    }

    /** The same with what the encoder makes of a fixed picture. */
    public LatentsHeader withProbe(List<Double> taken) {
        return new LatentsHeader(
                encoderDigest,
                scale,
                shift,
                imageHeight,
                imageWidth,
                channels,
                height,
                width,
                hasVariance,
                classNames,
                taken);
    }

    private List<Object> compared() {
        return List.of(
                encoderDigest, scale, shift, imageHeight, imageWidth, channels, height, width, hasVariance, classNames);
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof LatentsHeader header && compared().equals(header.compared());
    }

    @Override
    public int hashCode() {
        return compared().hashCode();
    }

    private static void require(boolean holds, String message) {
        if (!holds) throw new IllegalArgumentException(message);
    }
}
