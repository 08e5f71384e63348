package org.dit4j.cli;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.dit4j.ClassChoice;
import org.dit4j.ClassNames;
import org.dit4j.DiTPipeline;
import org.dit4j.PictureDecoder;
import org.dit4j.SampleRequest;
import org.dit4j.SampleRequest.Sampler;
import org.dit4j.checkpoint.Checkpoints;
import org.dit4j.checkpoint.OpenOptions;
import org.dit4j.doctor.Machine;
import org.dit4j.io.Images;
import org.dit4j.jobs.SampleConfig;
import org.dit4j.model.DiTConfig;
import org.dit4j.report.ClassGrid;
import org.dit4j.report.DidYouMean;
import org.dit4j.report.Frames;
import org.dit4j.report.Numbers;
import org.dit4j.report.PngText;
import org.dit4j.report.Words;
import org.dit4j.run.OwnCheckpoints;
import org.dit4j.sample.StepListener;
import org.dit4j.torch.Backend;
import org.dit4j.torch.Precision;
import org.dit4j.train.EmaSchedule;
import org.dit4j.vae.LatentCodec;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

@Command(
        name = "sample",
        mixinStandardHelpOptions = true,
        sortOptions = false,
        customSynopsis = "dit sample --ckpt=PATH [FLAG]...",
        optionListHeading = "%nFlags:%n",
        description = {
            "Draws pictures with a trained model: a grid, and a PNG for each. How each was drawn is written into it as text.",
            "The same seed, classes and steps give the same pictures."
        },
        footer = {
            "",
            "For example:",
            "  dit sample --ckpt results/000-DiT-S-4 --class star,heart --count 4 --num-sampling-steps 50",
            "  dit sample --ckpt model.safetensors --class 207 --seed 7 --sampler ddim --num-sampling-steps ddim50"
        })
final class SampleCommand implements Callable<Integer> {
    private static final int MAX_DEFAULT_PICTURES = 16;
    private static final Path SAMPLES = Path.of("samples");

    @Option(
            names = "--ckpt",
            required = true,
            paramLabel = "PATH",
            description =
                    "A run folder (its newest checkpoint), a checkpoint's folder, a published .pt or a .safetensors"
                            + " file, a diffusers folder, or a name as on Hugging Face's hub, in the local cache.")
    private Path ckpt;

    @Option(
            names = "--model",
            converter = Names.Models.class,
            completionCandidates = Names.Models.class,
            paramLabel = "NAME",
            description = "Refuse a checkpoint of another size than this, for example DiT-S/4. Default: take any.")
    private String model;

    @Option(
            names = "--image-size",
            converter = Ranges.Count.class,
            paramLabel = "PIXELS",
            description = "Refuse a checkpoint for pictures of another size. Default: take any.")
    private Integer imageSize;

    @Option(
            names = "--num-classes",
            converter = Ranges.CountOrNone.class,
            paramLabel = "N",
            description = "Refuse a checkpoint with other classes. Default: take any.")
    private Integer numClasses;

    @Option(
            names = "--class",
            paramLabel = "CLASS",
            description =
                    "Names or numbers, separated by commas, or the flag again; a name's beginning will do. name:2 is"
                            + " the class called 2, id:2 the third. Default: the first 16 classes.")
    private List<String> classes = List.of();

    @Option(
            names = "--unconditional",
            description = "Draw without a class, by a model that has classes and a null label.")
    private boolean unconditional;

    @Option(
            names = {"--batch-size", "--per-proc-batch-size"},
            converter = Ranges.Count.class,
            paramLabel = "N",
            description =
                    "Pictures drawn at once; less needs less memory. Default: what suits the model; of a set at most"
                            + " 32, and the set's last bits depend on it.")
    private Integer batchSize;

    @Option(
            names = "--count",
            converter = Ranges.Count.class,
            paramLabel = "N",
            description = "Pictures of each class. Default: 1; without classes, 16.")
    private Integer count;

    @Option(
            names = {"--seed", "--global-seed"},
            paramLabel = "N",
            description = "Another seed, other pictures. Default: ${DEFAULT-VALUE}.")
    private long seed;

    @Mixin
    private final SamplingFlags sampling = new SamplingFlags("250", Sampler.DDPM);

    @Mixin
    private final NoiseFlag noise = new NoiseFlag();

    @Option(
            names = "--eta",
            converter = Ranges.Share.class,
            paramLabel = "SHARE",
            description = "Randomness of ddim: 0 is none, 1 that of ddpm. Default: ${DEFAULT-VALUE}.")
    private double eta;

    /** Which channels are guided. */
    enum CfgChannels {
        PUBLISHED,
        ALL
    }

    @Option(
            names = "--cfg-channels",
            converter = CfgChannelNames.class,
            completionCandidates = CfgChannelNames.class,
            paramLabel = "NAME",
            description =
                    "Guide the first three channels only, as published, or all. Default: published; all under the profile of"
                            + " diffusers.")
    private CfgChannels cfgChannels = CfgChannels.PUBLISHED;

    @Option(
            names = "--cfg-interval",
            converter = Ranges.Interval.Converter.class,
            paramLabel = "LOW,HIGH",
            description = "Guide at these of the 1000 timesteps only. Default: at all.")
    private Ranges.Interval cfgInterval;

    @Option(
            names = "--precision",
            converter = Names.Precisions.class,
            completionCandidates = Names.Precisions.class,
            paramLabel = "NAME",
            description = "fp32; autocast: matrix products in bfloat16; bf16: everything. Default: fp32.")
    private Precision precision = Precision.FP32;

    @Option(
            names = "--device",
            completionCandidates = Names.Devices.class,
            paramLabel = "NAME",
            description = "cpu, cuda, cuda:N, or auto: the GPU if there is one. Default: ${DEFAULT-VALUE}.")
    private String device = "auto";

    @Mixin
    private final VaeFlag vae = new VaeFlag();

    @Mixin
    private final OpenFlags open = new OpenFlags();

    @Option(
            names = "--frames",
            description = "Also write denoising.gif: what the model takes the grid to be, step by step, and the grid.")
    private boolean frames;

    @Option(
            names = "--preview-vae",
            paramLabel = "PATH",
            description =
                    "A small autoencoder to decode the steps of --frames with, for example TAESD. Default: the colours"
                            + " that the checkpoint has of the data it was trained on, else --vae.")
    private Path previewVae;

    @Option(
            names = "--out",
            paramLabel = "FOLDER",
            description =
                    "Where the PNGs go; those of equal names are replaced. The same command again goes on where it was ended."
                            + " Default: samples/NNN, the next number.")
    private Path out;

    @Option(
            names = "--columns",
            converter = Ranges.Count.class,
            paramLabel = "N",
            description = "Of the grid. Default: one for each class, or as wide as high.")
    private Integer columns;

    @Option(
            names = "--scale",
            converter = Ranges.Count.class,
            paramLabel = "N",
            description = "Make a square of N x N of each pixel. Default: what makes small pictures 96 pixels wide.")
    private Integer scale;

    @Mixin
    private final SampleSet set = new SampleSet();

    @Option(names = "--json", description = "Print one JSON object instead of the paths.")
    private boolean json;

    @Spec
    private CommandSpec spec;

    /** {@code published} and {@code all}. */
    static final class CfgChannelNames extends Names<CfgChannels> {
        CfgChannelNames() {
            super(List.of(CfgChannels.values()), Names::flag);
        }
    }

    /** What {@code --json} says of a picture. */
    record Picture(String file, Integer label, String name) {}

    @Override
    public Integer call() throws IOException {
        if (previewVae != null && !frames)
            throw new IllegalArgumentException("--preview-vae decodes the steps of a film; add --frames");
        if (set.isAsked()) requireNothingOfAGrid();
        else set.requireAsked();
        Failure.as(ExitCode.DEVICE, () -> Backend.device(device));
        OpenOptions options = open.options(vae.isGiven() ? vae.path() : null).withVaeScaling(vae.scaling());
        try (DiTPipeline pipeline =
                Failure.as(ExitCode.CHECKPOINT, () -> DiTPipeline.open(ckpt, options, device, precision))) {
            OwnCheckpoints.foreignNewest(ckpt).ifPresent(spec.commandLine().getErr()::println);
            requireModel(pipeline.config(), pipeline.downsampling());
            requireDecoder(pipeline);
            sampling.requireSampler(pipeline, spec.commandLine().getErr());
            requireWritable(out != null ? out : set.isAsked() ? set.parent() : SAMPLES);
            if (set.isAsked()) {
                drawSet(pipeline, options);
                return ExitCode.DONE.code;
            }
            List<Integer> labels = labels(pipeline);
            SampleRequest request = request(pipeline, labels);
            pipeline.numSteps(request); // what cannot be drawn is refused before a folder is made
            youngAverage(pipeline.weights()).ifPresent(spec.commandLine().getErr()::println);
            if (previewVae == null) {
                PictureDecoder preview = pipeline.colours()
                        .map(PictureDecoder::of)
                        .orElseGet(() -> pipeline.decoder().orElseThrow());
                draw(pipeline, request, labels, frames ? new Frames(preview, request) : null);
            } else
                try (LatentCodec codec = Failure.as(ExitCode.CHECKPOINT, () -> Checkpoints.openVae(previewVae))) {
                    PictureDecoder preview = PictureDecoder.of(codec, Backend.device(device));
                    draw(pipeline, request, labels, new Frames(preview, request));
                }
        }
        return ExitCode.DONE.code;
    }

    private void requireNothingOfAGrid() {
        String given = count != null
                ? "--count"
                : frames ? "--frames" : columns != null ? "--columns" : scale != null ? "--scale" : null;
        if (given != null)
            throw new IllegalArgumentException(given + " is for a grid of pictures; a set (--num-samples) has none");
    }

    private void drawSet(DiTPipeline pipeline, OpenOptions options) throws IOException {
        SampleConfig config = set.config(pipeline, classesOfSet(pipeline), seed, batchSize);
        SampleRequest request = completed(
                        sampling.request(pipeline.config(), SampleSet.choices(config), seed, SampleSet.PUBLISHED_SCALE))
                .withBatchSize(config.batchSize());
        if (request.torchNoise())
            throw new IllegalArgumentException(
                    "--noise torch draws up to 64 pictures together; the noise of a set is each picture's own");
        pipeline.numSteps(request); // what cannot be drawn is refused before a folder is made
        youngAverage(pipeline.weights()).ifPresent(spec.commandLine().getErr()::println);
        Path weights = Checkpoints.files(ckpt, options).get(0);
        String autoencoder = vae.isGiven() ? vae.path().getFileName().toString() : "none";
        Path folder = out != null ? out : set.parent().resolve(SampleSet.name(pipeline, weights, autoencoder, request));
        set.draw(
                pipeline,
                config,
                request,
                folder,
                device,
                precision,
                json,
                spec.commandLine().getOut(),
                spec.commandLine().getErr());
    }

    /** All classes, or those that were asked for; none for pictures of no class. */
    private List<Integer> classesOfSet(DiTPipeline pipeline) {
        int numClasses = pipeline.config().numClasses();
        if (numClasses == 0 || unconditional) {
            requireNoClass(pipeline);
            return List.of();
        }
        if (!classes.isEmpty()) return givenClasses(pipeline);
        return IntStream.range(0, numClasses).boxed().toList();
    }

    /** Draws batch by batch and writes each picture when it is finished; those that the same command has left before stay. */
    private void draw(DiTPipeline pipeline, SampleRequest request, List<Integer> labels, Frames film)
            throws IOException {
        Path folder =
                Failure.as(ExitCode.USAGE, () -> out == null ? nextFolder(SAMPLES) : Files.createDirectories(out));
        Map<String, String> text = text(pipeline, request);
        int all = labels.size(), most = Math.min(all, Drawing.batchSize(pipeline, request)), found = 0;
        List<BufferedImage> drawn = new ArrayList<>(), pictures = new ArrayList<>();
        List<Picture> written = new ArrayList<>();
        PrintWriter err = spec.commandLine().getErr();
        try (Drawing drawing = new Drawing(pipeline, request, (all + most - 1) / most, err)) {
            for (int from = 0; from < all; from += most) {
                int count = Math.min(most, all - from);
                List<Picture> batch = new ArrayList<>();
                for (int i = from; i < from + count; i++) batch.add(picture(pipeline, folder, i, labels.get(i)));
                List<BufferedImage> there = film == null && out != null ? there(batch, text, from) : List.of();
                if (there.isEmpty()) {
                    List<BufferedImage> fresh =
                            drawing.draw(request.part(from, count), film == null ? StepListener.NONE : film);
                    drawn.addAll(fresh);
                    there = enlarged(fresh);
                    for (int i = 0; i < count; i++)
                        Images.writePng(
                                Path.of(batch.get(i).file()), there.get(i), pictureText(text, from + i, batch.get(i)));
                } else {
                    drawing.skip();
                    found += count;
                }
                pictures.addAll(there);
                written.addAll(batch);
            }
        }
        if (found > 0) err.println(found + " of " + all + " pictures were there already");
        Path grid = folder.resolve("grid.png");
        Images.writePng(grid, grid(pipeline, labels, pictures), text);
        if (film != null)
            film.write(folder.resolve("denoising.gif"), drawn, frame -> grid(pipeline, labels, enlarged(frame)));
        print(grid, written, text);
    }

    private static Picture picture(DiTPipeline pipeline, Path folder, int number, Integer label) {
        boolean classless = pipeline.config().numClasses() == 0 || label < 0;
        String name = classless ? null : pipeline.classNames().name(label);
        return new Picture(folder.resolve(fileName(number, name)).toString(), classless ? null : label, name);
    }

    /** The pictures of a batch as an earlier start of the same command has written them; empty if one is not there. */
    private List<BufferedImage> there(List<Picture> batch, Map<String, String> text, int from) {
        List<BufferedImage> there = new ArrayList<>();
        for (int i = 0; i < batch.size(); i++) {
            Path file = Path.of(batch.get(i).file());
            try {
                if (!Files.isRegularFile(file)
                        || !Images.readPngText(file).equals(pictureText(text, from + i, batch.get(i))))
                    return List.of();
                there.add(ImageIO.read(file.toFile()));
            } catch (IOException e) { // half a file, or somebody's
                return List.of();
            }
        }
        return there;
    }

    private Map<String, String> text(DiTPipeline pipeline, SampleRequest request) {
        Map<String, String> text = PngText.of(request, pipeline, ckpt.toString());
        text.put("Device", device);
        text.put("Precision", Names.flag(precision));
        if (vae.isGiven()) text.put("Autoencoder", vae.path().toString());
        vae.scaling().ifPresent(given -> text.put("Latents", "scale " + given.scale() + ", shift " + given.shift()));
        return text;
    }

    private List<BufferedImage> enlarged(List<BufferedImage> pictures) {
        return scale == null ? ClassGrid.viewable(pictures) : ClassGrid.enlarged(pictures, scale);
    }

    private void requireModel(DiTConfig actual, int pixels) {
        DiTConfig named = model == null ? actual : DiTConfig.of(model);
        boolean same = named.patchSize() == actual.patchSize()
                && named.hiddenSize() == actual.hiddenSize()
                && named.depth() == actual.depth()
                && named.numHeads() == actual.numHeads()
                && (imageSize == null
                        || imageSize == pixels * actual.inputHeight() && imageSize == pixels * actual.inputWidth())
                && (numClasses == null || numClasses == actual.numClasses());
        if (!same)
            throw new Failure(
                    ExitCode.CHECKPOINT, ckpt + ": holds another model than asked for: " + Words.model(actual));
    }

    private static void requireDecoder(DiTPipeline pipeline) {
        if (!pipeline.drawsPictures())
            throw new IllegalArgumentException("this model works on latents of "
                    + pipeline.config().inChannels() + " channels; give the autoencoder that decodes them: --vae PATH");
    }

    /** Refuses before the pictures are drawn what would be refused after it. */
    private static void requireWritable(Path folder) {
        Path existing = Machine.existing(folder);
        if (!Files.isDirectory(existing))
            throw new IllegalArgumentException(existing + ": a file is there, not a folder; name another with --out");
        if (!Files.isWritable(existing))
            throw new IllegalArgumentException(existing + ": permission denied; name another folder with --out");
    }

    /** The grid is one picture, and Java has none of more pixels. */
    private void requireDrawable(DiTPipeline pipeline, long numPictures) {
        DiTConfig model = pipeline.config();
        int height = pipeline.downsampling() * model.inputHeight(),
                width = pipeline.downsampling() * model.inputWidth();
        double side = scale == null ? ClassGrid.viewableScale(height, width) : scale;
        double pixels = numPictures * side * height * side * width;
        if (pixels > Integer.MAX_VALUE)
            throw new IllegalArgumentException(String.format(
                    Locale.ROOT,
                    "the grid of %,d pictures would have %,.0f pixels, of %,d at most; take fewer (--count), or a smaller --scale",
                    numPictures,
                    pixels,
                    Integer.MAX_VALUE));
    }

    /** The label of each picture, all classes of the first row first; zeros for a model without classes, −1 for no class. */
    private List<Integer> labels(DiTPipeline pipeline) {
        int numClasses = pipeline.config().numClasses();
        if (numClasses == 0 || unconditional) {
            requireNoClass(pipeline);
            int number = count == null ? MAX_DEFAULT_PICTURES : count;
            requireDrawable(pipeline, number);
            return Collections.nCopies(number, numClasses == 0 ? 0 : -1);
        }
        List<Integer> row = classes.isEmpty()
                ? IntStream.range(0, Math.min(numClasses, MAX_DEFAULT_PICTURES))
                        .boxed()
                        .toList()
                : givenClasses(pipeline);
        requireDrawable(pipeline, (long) row.size() * (count == null ? 1 : count));
        List<Integer> labels = new ArrayList<>();
        for (int i = 0; i < (count == null ? 1 : count); i++) labels.addAll(row);
        return labels;
    }

    /** Refuses a class where there is none, and none of a model that always has one. */
    private void requireNoClass(DiTPipeline pipeline) {
        boolean classless = pipeline.config().numClasses() == 0;
        if (!classes.isEmpty())
            throw new IllegalArgumentException("--class " + classes.get(0)
                    + (classless ? ": this model has no classes" : " and --unconditional: one of them"));
        if (!classless) pipeline.config().nullLabel(); // refuses a model that has none
    }

    private List<Integer> givenClasses(DiTPipeline pipeline) {
        return classes.stream()
                .flatMap(given -> names(given, pipeline.classNames()))
                .map(given -> label(given, pipeline.classNames()))
                .toList();
    }

    /** What a flag names: one class, if that is its whole name, else as many as commas part. */
    private static Stream<String> names(String given, ClassNames names) {
        if (names.isName(given)) return Stream.of(given);
        if (given.replace(",", "").isBlank())
            throw new IllegalArgumentException("--class " + given + ": names no class; known are " + names.names());
        return Arrays.stream(given.split(","));
    }

    private static int label(String given, ClassNames names) {
        try {
            return names.label(given);
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException(e.getMessage() + DidYouMean.hint(given, names.names()), e);
        }
    }

    private SampleRequest request(DiTPipeline pipeline, List<Integer> labels) {
        List<ClassChoice> choices = labels.stream()
                .map(label -> label < 0 ? ClassChoice.none() : ClassChoice.of(label))
                .toList();
        SampleRequest request = completed(sampling.request(pipeline.config(), choices, seed));
        return request.withBatchSize(batchSize == null ? fitting(pipeline, labels.size()) : batchSize);
    }

    /** With what the other flags say of how pictures are drawn. */
    private SampleRequest completed(SampleRequest drawn) {
        SampleRequest request = noise.with(drawn.withSampler(drawn.sampler(), eta));
        if (cfgChannels == CfgChannels.ALL) request = request.withAllChannelsGuided();
        return cfgInterval == null ? request : request.withGuidanceWithin(cfgInterval.low(), cfgInterval.high());
    }

    private static final Pattern AVERAGED = Pattern.compile("EMA ([0-9.]+), after (\\d+) steps");

    /** Said of averaged weights that are mostly the untrained ones still, and draw noise. */
    static Optional<String> youngAverage(String weights) {
        Matcher matcher = AVERAGED.matcher(weights);
        if (!matcher.matches()) return Optional.empty();
        EmaSchedule ema = new EmaSchedule(Double.parseDouble(matcher.group(1)), 0);
        long steps = Long.parseLong(matcher.group(2)), matureAfter = ema.matureAfter(1);
        if (steps >= matureAfter) return Optional.empty();
        return Optional.of(String.format(
                Locale.ROOT,
                "these averaged weights are of step %,d and still %.0f%% untrained; from about step %,d they are worth looking"
                        + " at. --weights model draws with those in training; short runs do better with --ema-ramp 0.05",
                steps,
                100 * ema.untrained(steps, 1),
                matureAfter));
    }

    /** What suits the model, or fewer where that many do not fit into the memory that is free. */
    private int fitting(DiTPipeline pipeline, int numPictures) {
        int suits = Math.min(numPictures, pipeline.picturesAtOnce()), fits = suits;
        if (Backend.device(device).is_cuda()) return pipeline.picturesAtOnce();
        long available = Machine.read().availableMemory();
        while (fits > 1 && pipeline.bytesOf(fits) > available) fits /= 2;
        if (fits == suits) return pipeline.picturesAtOnce();
        spec.commandLine()
                .getErr()
                .println("drawing " + fits + " pictures at once instead of " + suits + ", for which "
                        + Numbers.bytes(pipeline.bytesOf(suits)) + " of memory would be needed; last bits may differ");
        return fits;
    }

    private static Map<String, String> pictureText(Map<String, String> text, int number, Picture picture) {
        Map<String, String> one = new LinkedHashMap<>(text);
        one.put("Picture", Integer.toString(number)); // with the seed it fixes the noise
        if (picture.label() == null) return one;
        one.put("Class", picture.name());
        one.put("Label", picture.label().toString());
        return one;
    }

    private BufferedImage grid(DiTPipeline pipeline, List<Integer> labels, List<BufferedImage> pictures) {
        List<Integer> row = labels.stream().distinct().toList();
        boolean byClass = pipeline.config().numClasses() > 0
                && labels.get(0) >= 0
                && row.size() <= MAX_DEFAULT_PICTURES
                && IntStream.range(0, labels.size()).allMatch(i -> labels.get(i).equals(row.get(i % row.size())))
                && (columns == null || columns == row.size());
        if (byClass && row.size() > 1)
            return ClassGrid.captioned(
                    pictures, row.stream().map(pipeline.classNames()::name).toList());
        int square = (int) Math.ceil(Math.sqrt(pictures.size()));
        return ClassGrid.plain(pictures, columns == null ? square : columns);
    }

    /** {@code 000-star.png}; of a name with synonyms the first, and of one whose letters files here cannot have none. */
    static String fileName(int picture, String name) {
        String number = String.format(Locale.ROOT, "%03d", picture);
        if (name == null) return number + ".png";
        String words = name.split(",")[0].toLowerCase(Locale.ROOT).replaceAll("[^\\p{L}\\p{N}]+", "-");
        try {
            return Path.of(number + "-" + words.substring(0, Math.min(40, words.length())) + ".png")
                    .toString();
        } catch (InvalidPathException e) { // without a locale, as in many containers, these are ASCII
            return number + ".png";
        }
    }

    private static Path nextFolder(Path parent) throws IOException {
        Files.createDirectories(parent);
        for (int number = 0; ; number++) {
            try {
                return Files.createDirectory(parent.resolve(String.format(Locale.ROOT, "%03d", number)));
            } catch (FileAlreadyExistsException e) {
                // of an earlier run: the next number
            }
        }
    }

    private void print(Path grid, List<Picture> written, Map<String, String> text) throws IOException {
        PrintWriter standard = spec.commandLine().getOut();
        if (json) {
            Map<String, Object> result = new LinkedHashMap<>();
            result.put("grid", grid.toString());
            result.put("pictures", written);
            result.put("parameters", text);
            standard.println(new ObjectMapper().writeValueAsString(result));
        } else {
            standard.println(grid);
            written.forEach(picture -> standard.println(picture.file()));
        }
        standard.flush();
    }

    /** A path as a shell takes it. */
    static String quoted(Path path) {
        String text = path.toString();
        return text.matches("[\\w./~+-]+") ? text : "'" + text.replace("'", "'\\''") + "'";
    }
}
