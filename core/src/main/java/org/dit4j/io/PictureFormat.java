package org.dit4j.io;

import java.util.function.Predicate;

/** The kinds of picture files that are read, told by their first bytes and never by their names. */
enum PictureFormat {
    PNG(PngFile::isPng, PngFile::header, PngFile::decode),
    JPEG(JpegFile::isJpeg, JpegFile::header, JpegFile::decode),
    WEBP(WebpFile::isWebp, WebpFile::header, WebpFile::decode),
    GIF(GifPicture::isGif, GifPicture::header, GifPicture::decode),
    BMP(BmpFile::isBmp, BmpFile::header, BmpFile::decode),
    TIFF(TiffFile::isTiff, TiffFile::header, TiffFile::decode),
    PNM(PnmFile::isPnm, PnmFile::header, PnmFile::decode);

    private interface Header {
        PictureHeader read(String name, byte[] file) throws FormatException;
    }

    private interface Decoder {
        Picture read(String name, byte[] file, PictureLimits limits) throws FormatException;
    }

    private final Predicate<byte[]> mark;
    private final Header header;
    private final Decoder decoder;

    PictureFormat(Predicate<byte[]> mark, Header header, Decoder decoder) {
        this.mark = mark;
        this.header = header;
        this.decoder = decoder;
    }

    static PictureFormat of(String name, byte[] file) throws FormatException {
        for (PictureFormat format : values()) if (format.mark.test(file)) return format;
        throw new FormatException(
                name,
                file.length == 0 ? "an empty file" : "no picture: neither PNG, JPEG, GIF, BMP, TIFF, WebP nor PNM");
    }

    /** Reads a header from the beginning of a file; where it throws, more of the file may be needed. */
    PictureHeader header(String name, byte[] file) throws FormatException {
        return header.read(name, file);
    }

    /** @throws FormatException if it is damaged, cut short, above a limit, or of a kind that is not read */
    Picture decode(String name, byte[] file, PictureLimits limits) throws FormatException {
        try {
            return decoder.read(name, file, limits);
        } catch (OutOfMemoryError e) { // other threads took what was free
            throw new FormatException(
                    name, "Java's memory is not enough to decode it; give more: DIT_JAVA_OPTS=-Xmx8g dit ...", e);
        }
    }
}
