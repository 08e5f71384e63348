package org.dit4j.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import org.dit4j.checkpoint.CheckpointFolder;
import org.dit4j.data.Dataset;
import org.dit4j.data.DatasetConfig;
import org.dit4j.data.Datasets;
import org.dit4j.eval.NpzPictures;
import org.dit4j.eval.PictureSource;
import org.dit4j.eval.Reference;
import org.dit4j.jobs.DatasetPictures;
import org.dit4j.jobs.DecodedPictures;
import org.dit4j.torch.Backend;
import org.dit4j.vae.LatentCodec;

/** What a path to pictures to evaluate means. */
final class EvaluationInput {
    private EvaluationInput() {}

    /** Whether pictures have to be drawn first: a run's folder, a checkpoint, a file of weights, a diffusers folder. */
    static boolean isModel(Path path) {
        if (Files.isDirectory(path))
            return Files.isDirectory(path.resolve("checkpoints"))
                    || Files.exists(path.resolve(CheckpointFolder.EMA))
                    || Files.exists(path.resolve("model_index.json"));
        return Files.isRegularFile(path)
                && path.toString().toLowerCase(Locale.ROOT).matches(".*\\.(pt|pth|bin|safetensors|ckpt)");
    }

    /** Whether it holds statistics, perhaps beside pictures. */
    static boolean hasStatistics(Path path) throws IOException {
        String name = path.toString().toLowerCase(Locale.ROOT);
        return name.endsWith(".pkl") || name.endsWith(".npz") && Reference.isIn(path);
    }

    /** Whether it holds pictures or latents, or it cannot be told before they are read. */
    static boolean hasPictures(Path path) throws IOException {
        String name = path.toString().toLowerCase(Locale.ROOT);
        return !name.endsWith(".pkl") && (!name.endsWith(".npz") || NpzPictures.isIn(path));
    }

    /**
     * Opens pictures: those of an .npz, a data set of any kind, or encoded ones, which are decoded.
     *
     * @param imageSize crops pictures of folders and tars; null: they stay as they are
     * @param most at most so many; null: all
     */
    static PictureSource open(Path path, Integer imageSize, Integer most, VaeFlag vae, FeatureFlags flags)
            throws IOException {
        if (path.toString().toLowerCase(Locale.ROOT).endsWith(".npz"))
            return limited(NpzPictures.open(path), most, path);
        DatasetConfig config = DatasetConfig.standard();
        Datasets.Kind kind = Datasets.kind(path);
        if (imageSize != null) config = config.withImageSize(imageSize);
        else if (kind != Datasets.Kind.GLYPHS) config = config.withOriginalPictures();
        Dataset data = Datasets.open(path, config);
        LatentCodec codec = null;
        try {
            data.check();
            long size = size(data, most, path);
            if (data.latents().isEmpty())
                return new Owned(new DatasetPictures(data, size, flags.numWorkers()), data, null);
            if (!vae.isGiven())
                throw new IllegalArgumentException(
                        path + " holds latents; give the autoencoder that made them: --vae PATH");
            codec = vae.open();
            codec.to(Backend.device(flags.device()), org.bytedeco.pytorch.global.torch.ScalarType.Float);
            return new Owned(new DecodedPictures(data, codec, size), data, codec);
        } catch (IOException | RuntimeException e) {
            if (codec != null) codec.close();
            data.close();
            throw e;
        }
    }

    private static long size(Dataset data, Integer most, Path path) {
        if (data.size() == Dataset.ENDLESS && most == null)
            throw new IllegalArgumentException(path + " has no end; say how many pictures to take");
        return requireEnough(data.size(), most, path);
    }

    private static long requireEnough(long size, Integer most, Path path) {
        if (most == null) return size;
        if (most > size)
            throw new IllegalArgumentException(path + " holds " + size + " pictures, " + most + " are asked for");
        return most;
    }

    private static PictureSource limited(PictureSource all, Integer most, Path path) throws IOException {
        try {
            long size = requireEnough(all.size(), most, path);
            return size == all.size() ? all : new Owned(all, null, null, size);
        } catch (RuntimeException e) {
            all.close();
            throw e;
        }
    }

    /** Pictures that close what they are read from. */
    private record Owned(PictureSource pictures, Dataset data, LatentCodec codec, long size) implements PictureSource {
        Owned(PictureSource pictures, Dataset data, LatentCodec codec) {
            this(pictures, data, codec, pictures.size());
        }

        @Override
        public org.bytedeco.pytorch.Tensor read(long from, int count) throws IOException {
            return pictures.read(from, count);
        }

        @Override
        public String digest() throws IOException {
            return pictures.digest();
        }

        @Override
        public String describe() {
            return size == pictures.size() ? pictures.describe() : "the first " + size + " of " + pictures.describe();
        }

        @Override
        public void close() throws IOException {
            pictures.close();
            if (codec != null) codec.close();
            if (data != null) data.close();
        }
    }
}
