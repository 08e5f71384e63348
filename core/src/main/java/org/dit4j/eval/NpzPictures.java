package org.dit4j.eval;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.io.FormatException;
import org.dit4j.io.NpyHeader;
import org.dit4j.io.NpyRows;
import org.dit4j.io.Npz;
import org.dit4j.io.Sha256;
import org.dit4j.torch.TensorScope;

/** The array {@code arr_0} of an .npz, (N, H, W, 3) uint8, as guided diffusion's scripts write sets of samples. It is read as it goes, of any size. */
public final class NpzPictures implements PictureSource {
    /** The array's name. */
    public static final String KEY = "arr_0";

    private final Path path;
    private final NpyHeader header;
    private NpyRows rows;
    private long next;
    private String digest;

    private NpzPictures(Path path, NpyHeader header) throws IOException {
        this.path = path;
        this.header = header;
        rows = Npz.rows(path, KEY);
    }

    /**
     * Whether an .npz has pictures.
     *
     * @throws FormatException if it is none, or damaged
     */
    public static boolean isIn(Path path) throws IOException {
        return Npz.headers(path).containsKey(KEY);
    }

    /** @throws FormatException if there is no such array, or it holds no pictures */
    public static NpzPictures open(Path path) throws IOException {
        NpyHeader header = Npz.headers(path).get(KEY);
        if (header == null) throw new FormatException(path, "no array \"" + KEY + "\" of pictures");
        List<Long> shape = header.shape();
        if (shape.size() != 4 || shape.get(3) != 3 || header.dtype() != ScalarType.Byte || header.fortran())
            throw new FormatException(
                    path,
                    KEY + " is " + header.dtype() + " " + shape + "; pictures are uint8 (N, H, W, 3), in C order");
        if (shape.contains(0L)) throw new FormatException(path, KEY + " is " + shape + ": no picture");
        return new NpzPictures(path, header);
    }

    @Override
    public long size() {
        return header.shape().get(0);
    }

    @Override
    public Tensor read(long from, int count) throws IOException {
        if (from < next) {
            rows.close();
            rows = Npz.rows(path, KEY);
            next = 0;
        }
        while (next < from) next(Math.min(256, from - next)).close(); // an archive knows no way but from the beginning
        Tensor pictures = next(count);
        return TensorScope.local(() -> {
            Tensor planes = pictures.permute(0, 3, 1, 2).contiguous();
            pictures.close();
            return planes;
        });
    }

    private Tensor next(long count) throws IOException {
        Tensor read = rows.next((int) count);
        if (read == null || read.size(0) != count)
            throw new IndexOutOfBoundsException(path + ": " + count + " pictures from " + next + " of " + size());
        next += count;
        return read;
    }

    @Override
    public String digest() throws IOException {
        if (digest == null) digest = Sha256.hex(path);
        return digest;
    }

    @Override
    public String describe() {
        List<Long> shape = header.shape();
        return path + ": " + shape.get(0) + " pictures of " + shape.get(2) + "×" + shape.get(1);
    }

    @Override
    public void close() throws IOException {
        rows.close();
    }
}
