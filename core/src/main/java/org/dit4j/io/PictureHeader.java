package org.dit4j.io;

/**
 * What the first bytes of a picture file say of it.
 *
 * @param width in pixels, as stored
 * @param height in pixels, as stored
 * @param orientation EXIF's: 1 is as stored, 2 … 8 are to be turned or mirrored to be seen upright
 * @param bytesToDecode what decoding it takes of Java's memory
 */
public record PictureHeader(int width, int height, int orientation, long bytesToDecode) {}
