package org.dit4j.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.checkpoint.DiTCheckpoint;
import org.dit4j.checkpoint.DiTDescription;
import org.dit4j.io.Safetensors;
import org.dit4j.run.RunFolder;
import org.dit4j.run.RunLock;
import org.dit4j.torch.Backend;
import org.dit4j.torch.TensorScope;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What a person may get wrong: the right exit code, one clear message, no stack trace, nothing on standard output. */
class BadInputTest {
    @TempDir
    static Path folder;

    /** Of {@code $RUN} and so on in the tables below. */
    private static final Map<String, String> PATHS = new LinkedHashMap<>();

    @BeforeAll
    static void makeFiles() throws IOException {
        Path run = TinyRun.train(folder.resolve("results"), "--sample-every=0");
        Path weights = run.resolve("checkpoints/step-0000003/ema.safetensors");
        PATHS.put("RUN", run.toString());
        PATHS.put("WEIGHTS", weights.toString());
        PATHS.put(
                "NO_NULL",
                TinyRun.train(folder.resolve("no-null"), "--sample-every=0", "--label-dropout=0")
                        .toString());
        Path flipped = TinyRun.train(folder.resolve("flipped"), "--sample-every=0");
        flipBit(flipped.resolve("checkpoints/step-0000003/ema.safetensors"));
        PATHS.put("FLIPPED", flipped.toString());
        PATHS.put(
                "CUT",
                TestFiles.cutShort(Files.copy(weights, folder.resolve("cut.safetensors")), 9)
                        .toString());
        PATHS.put("STRANGE", strangeCheckpoint(weights).toString());
        PATHS.put("OTHER", otherWeights(weights).toString());
        PATHS.put(
                "TEXT",
                Files.writeString(folder.resolve("notes.txt"), "not what it should be")
                        .toString());
        PATHS.put("PNG", TestFiles.picture(folder.resolve("picture.png"), 8, 8).toString());
        PATHS.put("EMPTY", Files.createDirectories(folder.resolve("empty")).toString());
        Path broken = folder.resolve("broken");
        TestFiles.cutShort(TestFiles.picture(broken.resolve("cat/1.png"), 40, 30), 20);
        PATHS.put("BROKEN", broken.toString());
        PATHS.put("IDX", TestFiles.idx(folder.resolve("idx"), 8, 32, 32, 2).toString());
        Path idxCut = TestFiles.idx(folder.resolve("idx-cut"), 8, 32, 32, 2);
        TestFiles.cutShort(idxCut.resolve("train-images-idx3-ubyte"), 1);
        PATHS.put("IDX_CUT", idxCut.toString());
        Path alone = TestFiles.idx(folder.resolve("idx-alone"), 8, 32, 32, 2);
        Files.delete(alone.resolve("train-labels-idx1-ubyte"));
        PATHS.put("IDX_ALONE", alone.toString());
        PATHS.put("EVIL", maliciousPickle().toString());
        PATHS.put("OUT", folder.resolve("new").toString());
        PATHS.put(
                "ZIP",
                Files.writeString(folder.resolve("photos.zip"), "PK, but no zip")
                        .toString());
        PATHS.put(
                "RECIPE",
                Files.writeString(folder.resolve("wrong.yaml"), "modle: DiT-S/2\n")
                        .toString());
    }

    /** In the last byte, which is one of a tensor. */
    private static void flipBit(Path file) throws IOException {
        byte[] bytes = Files.readAllBytes(file);
        bytes[bytes.length - 1] ^= 1;
        Files.write(file, bytes);
    }

    /** Without the metadata that says what it is. */
    private static Path strangeCheckpoint(Path weights) throws IOException {
        Path file = folder.resolve("strange.safetensors");
        try (TensorScope scope = new TensorScope()) {
            Safetensors.write(file, Safetensors.read(weights), Map.of());
        }
        return file;
    }

    /** A file that would run a program in whoever unpickles it as Python does. */
    private static Path maliciousPickle() throws IOException {
        Path file = folder.resolve("evil.pt");
        try (ZipOutputStream zip = new ZipOutputStream(Files.newOutputStream(file))) {
            zip.setMethod(ZipOutputStream.STORED);
            byte[] pickle = "\u0080\u0002cos\nsystem\nX\u0004\u0000\u0000\u0000true\u0085R."
                    .getBytes(StandardCharsets.ISO_8859_1);
            ZipEntry entry = new ZipEntry("archive/data.pkl");
            CRC32 crc = new CRC32();
            crc.update(pickle);
            entry.setSize(pickle.length);
            entry.setCrc(crc.getValue());
            zip.putNextEntry(entry);
            zip.write(pickle);
        }
        return file;
    }

    /** The metadata of one model, the weights of another. */
    private static Path otherWeights(Path weights) throws IOException {
        Path file = folder.resolve("other.safetensors");
        DiTDescription description = DiTCheckpoint.describe(weights);
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> tensors = Safetensors.read(weights);
            Safetensors.write(
                    file,
                    tensors,
                    new DiTDescription(description.model().withTrunk(32, 1, 2), List.of(), description.diffusion(), "")
                            .metadata());
        }
        return file;
    }

    private static CommandRun fails(ExitCode exitCode, String message, String... flags) {
        String[] filled = Stream.of(flags).map(BadInputTest::filled).toArray(String[]::new);
        CommandRun run = CommandRun.of(filled);
        assertEquals(exitCode.code, run.exitCode(), run.err());
        assertEquals("", run.out());
        List<String> lines = run.err().lines().toList();
        assertEquals(1, lines.stream().filter(line -> line.startsWith("dit: ")).count(), run.err());
        int at = lines.indexOf(lines.stream()
                .filter(line -> line.startsWith("dit: "))
                .findFirst()
                .orElseThrow());
        assertTrue(lines.size() - at <= 5, run.err());
        assertTrue(lines.get(at).contains(filled(message)), run.err());
        assertFalse(run.err().contains("\tat ") || run.err().contains("Exception"), run.err());
        return run;
    }

    private static String filled(String text) {
        String filled = text;
        for (Map.Entry<String, String> path : PATHS.entrySet())
            filled = filled.replaceAll("\\$" + path.getKey() + "\\b(?!_)", path.getValue());
        return filled;
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "USAGE      | | Missing required option: '--ckpt=PATH'",
                "CHECKPOINT | --ckpt=nowhere | nowhere: no such file or folder; give a run folder",
                "CHECKPOINT | --ckpt=$EMPTY | $EMPTY: holds no checkpoint; give a run folder",
                "CHECKPOINT | --ckpt=$TEXT | $TEXT: ",
                "CHECKPOINT | --ckpt=$PNG | $PNG: ",
                "CHECKPOINT | --ckpt=$CUT | $CUT: ",
                "CHECKPOINT | --ckpt=$FLIPPED | ema.safetensors: block 0 (from byte 0 on) is damaged; dit verify says which checkpoints of the run are whole",
                "CHECKPOINT | --ckpt=$FLIPPED/checkpoints/step-0000003/ema.safetensors | block 0 (from byte 0 on) is damaged",
                "CHECKPOINT | --ckpt=$STRANGE | $STRANGE: no shape tells the number of attention heads",
                "CHECKPOINT | --ckpt=$OTHER | pos_embed is [1, 64, 16], the model needs [1, 64, 32]",
                "CHECKPOINT | --ckpt=$RUN --model=DiT-S/4 | $RUN: holds another model than asked for: DiT on 32x32",
                "CHECKPOINT | --ckpt=$RUN --num-classes=1000 | holds another model than asked for",
                "CHECKPOINT | --ckpt=$RUN --image-size=256 | holds another model than asked for",
                "USAGE      | --ckpt=$RUN --class=staar | unknown class \"staar\"; known are [circle, square",
                "USAGE      | --ckpt=$RUN --class=staar | ; did you mean star?",
                "USAGE      | --ckpt=$RUN --class=s | class \"s\" may be any of [square, star]; give more of its name",
                "USAGE      | --ckpt=$RUN --class=10 | class 10 is outside 0 … 9",
                "USAGE      | --ckpt=$RUN --class=, | --class ,: names no class; known are [circle, square",
                "USAGE      | --ckpt=$RUN --clas=1 | unknown flag --clas; did you mean --class?",
                "USAGE      | --ckpt=$RUN --sampler=ddmp | unknown value \"ddmp\"; one of [ddpm, ddim]; did you mean ddpm?",
                "USAGE      | --ckpt=$RUN --num-sampling-steps=many | timestep spacing \"many\" is not understood; use a number",
                "USAGE      | --ckpt=$RUN --num-sampling-steps=1001 | takes 1001 timesteps of a section of 1000",
                "USAGE      | --ckpt=$RUN --num-sampling-steps=0 | timestep spacing \"0\" is not understood",
                "USAGE      | --ckpt=$RUN --cfg-scale=-1 | --cfg-scale: \"-1\" is not a number of at least 0",
                "USAGE      | --ckpt=$RUN --cfg-interval=9,1 | \"9,1\" is not an interval LOW,HIGH",
                "USAGE      | --ckpt=$RUN --eta=2 | --eta: \"2\" is not a number from 0 to 1",
                "USAGE      | --ckpt=$NO_NULL --cfg-scale=2 | this model has no null label (label dropout 0), so it cannot be guided",
                "USAGE      | --ckpt=$RUN --device=gpu | unknown device \"gpu\"; use cpu, cuda",
                "CHECKPOINT | --ckpt=$RUN --vae=no/where.pt | no/where.pt: no such file or folder",
                "USAGE      | --ckpt=$RUN --profile=theirs | unknown value \"theirs\"; one of [official, diffusers]",
                "USAGE      | --ckpt=$RUN --out=$TEXT --num-sampling-steps=1 | $TEXT: a file is there, not a folder",
                "USAGE      | --ckpt=$RUN --scale=100000 | the grid of 10 pictures would have 102,400,000,000,000 pixels",
                "USAGE      | --ckpt=$RUN --count=1000000000 | take fewer (--count), or a smaller --scale",
                "CHECKPOINT | --ckpt=nobody/DiT-XL-2-256 | nobody/DiT-XL-2-256: there is no such file or folder, and nothing of that name in",
                "USAGE      | --ckpt=$RUN --precision=fp16 | one of [fp32, autocast, bf16]",
            })
    void samplingSaysWhatIsWrong(ExitCode exitCode, String flags, String message) {
        String[] words = flags == null ? new String[0] : flags.split(" ");
        fails(
                exitCode,
                message,
                Stream.concat(Stream.of("sample"), Stream.of(words)).toArray(String[]::new));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "USAGE | --data-path= | --data-path is missing: a folder or .zip of pictures, an IDX file, or glyphs",
                "DATA  | --data-path=glyfs | glyfs: there is no such folder or file; the built-in data are called glyphs",
                "DATA  | --data-path=no/where | no/where: there is no such folder of pictures",
                "DATA  | --data-path=$EMPTY | $EMPTY: ",
                "DATA  | --data-path=$BROKEN --image-size=16 --num-classes=1 | 1.png: ",
                "DATA  | --data-path=$BROKEN --image-size=16 --num-classes=1 | ; repair or remove it, or go on without such pictures: --on-broken skip",
                "DATA  | --data-path=$BROKEN/cat --image-size=16 --class-depth=1 | 1.png: lies right in $BROKEN/cat, so it has no class; put the pictures of each class into a folder of their own, as in $BROKEN/cat/CLASS/1.png",
                "DATA  | --data-path=$PNG | PNG and JPEG pictures are given as a folder or .zip",
                "USAGE | --num-workers=1000 | number of workers 1000 is outside 0 … 256",
                "USAGE | --global-batch-size=100000000 | a micro-batch of 100,000,000 images has 307,200,000,000 values, and 2,147,483,647 are the most",
                "USAGE | --batch-size=4 | unknown flag --batch-size; did you mean --global-batch-size?",
                "DATA  | --data-path=$TEXT | $TEXT: its name has neither",
                "DATA  | --data-path=$ZIP | $ZIP: not a whole zip file",
                "DATA  | --data-path=$IDX_CUT | cut short: 8191 of 8192 bytes of data are there; get it again",
                "DATA  | --data-path=$IDX_ALONE | train-labels-idx1-ubyte: the labels of train-images-idx3-ubyte must be beside it",
                "DATA  | --data-path=$IDX --class-names=one | label 1 of image 1 is outside 0 … 0",
                "USAGE | --data-path=$EMPTY --class-names=one | class names are for IDX and tar files; the classes of a folder are named by its folders, or by a table of classes",
                "USAGE | --data-path=$EMPTY --classes-csv=x | --classes-csv, --classes-key and --classes-name go together",
                "USAGE | --model=DiT-XXL/2 | unknown value \"DiT-XXL/2\"; one of [DiT-S/8,",
                "USAGE | --model=DiT-XXL/2 | did you mean DiT-XL/2?",
                "USAGE | --block=adaln-zer | did you mean adaln-zero?",
                "USAGE | --patch-size=5 | input height 32 is not a multiple of the patch size 5",
                "USAGE | --num-heads=3 | hidden size 16 is not a multiple of the number of heads 3",
                "USAGE | --image-size=4 | glyphs of 4 pixels cannot be drawn; choose 8 to 1024",
                "USAGE | --class-names=a | glyphs have classes and names of their own",
                "USAGE | --data-path=$IDX --image-size=16 | image size is 16, these data are of pictures of ",
                "USAGE | --channels=2 | channels is 2; 1 is grey, 3 is RGB",
                "USAGE | --channels=1 | channels is 1, these data have 3",
                "USAGE | --num-classes=9 | the data have 10 classes, the model 9; it needs at least as many",
                "USAGE | --micro-batch-size=3 | global batch size 4 is not a multiple of the micro-batch size 3",
                "USAGE | --epochs=1 | these data are endless and have no epochs",
                "USAGE | --global-batch-size=0 | --global-batch-size: \"0\" is not a whole number of at least 1",
                "USAGE | --ema-decay=1 | --ema-decay: \"1\" is not a number from 0 to below 1",
                "USAGE | --label-dropout=0 --cfg-scale=2 | this model has no null label (label dropout 0)",
                "USAGE | --learnig-rate=1 | unknown flag --learnig-rate; did you mean --learning-rate?",
                "USAGE | --vae=no/where | --vae no/where: a model on latents is trained on a folder that \"dit encode\" made",
                "USAGE | --config=nowhere.yaml | nowhere.yaml: no such file or folder",
                "USAGE | --config=$RECIPE | wrong.yaml:1:1: unknown key \"modle\"; did you mean model?",
                "USAGE | --results-dir=$TEXT | $TEXT: a file is there, not a folder",
                "DIVERGED | --learning-rate=1e30 --max-steps=9 | weights are no longer finite at step 9, and there is no checkpoint; lower",
            })
    void trainingSaysWhatIsWrong(ExitCode exitCode, String flags, String message) {
        String results = flags.contains("--results-dir") ? "" : "--results-dir=" + folder.resolve("out") + " ";
        String[] words = (results + "--sample-every=0 " + filled(flags)).split(" ");
        fails(exitCode, message, TinyRun.flags("train", words));
    }

    /** {@code ;} stands for the end of a line. */
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "modle: DiT-S/2                          | :1:1: unknown key \"modle\"; did you mean model?",
                "image-size: 32;batchsize: 4             | :2:1: unknown key \"batchsize\"",
                "depth: 1;global_batch_size: 4           | :2:1: unknown key \"global_batch_size\"; did you mean global-batch-size?",
                "--depth: 1                              | :1:1: unknown key \"--depth\"; did you mean depth?",
                "config: other.yaml                      | :1:1: unknown key \"config\"",
                "dry-run: true                           | :1:1: unknown key \"dry-run\"",
                "depth: two                              | :1:8: depth: \"two\" is not a whole number of at least 1",
                "depth: 1.5                              | :1:8: depth: \"1.5\" is not a whole number of at least 1",
                "# fine;depth:   0                       | :2:10: depth: \"0\" is not a whole number of at least 1",
                "learning-rate: fast                     | :1:16: learning-rate: \"fast\" is not a number above 0",
                "learning-rate: -1e-4                    | :1:16: learning-rate: \"-1e-4\" is not a number above 0",
                "learning-rate: .nan                     | :1:16: learning-rate: \".nan\" is not a number above 0",
                "ema-decay: 1.5                          | :1:12: ema-decay: \"1.5\" is not a number from 0 to below 1",
                "label-dropout: 2                        | :1:16: label-dropout: \"2\" is not a number from 0 to below 1",
                "global-seed: first                      | :1:14: global-seed: \"first\" is not a whole number",
                "global-seed: 99999999999999999999       | :1:14: global-seed: \"99999999999999999999\" is not a whole number",
                "recompute: maybe                        | :1:12: recompute: \"maybe\" is not true or false",
                "model: DiT-S                            | :1:8: model: unknown value \"DiT-S\"; one of [DiT-S/8,",
                "precision: fp16                         | :1:12: precision: unknown value \"fp16\"; one of [fp32, autocast, bf16]",
                "sampler: dpm                            | :1:10: sampler: unknown value \"dpm\"; one of [ddpm, ddim]; did you mean ddpm?",
                "depth: [1, 2]                           | :1:8: depth takes one value, not a list",
                "depth: {of: 2}                          | :1:8: the value of \"depth\" is a number, a word or a quoted text here",
                "depth:                                  | :1:7: the value of \"depth\" is missing; leave the line out to get the default",
                "depth: 1;depth: 2                       | :2:1: \"depth\" stands here a second time, first on line 1",
                "- depth                                 | :1:1: a recipe is lines of \"flag: value\"",
                "depth: 1;\tmodel: DiT-S/2               | :2:1: not YAML: ",
                "depth: \"1                               | not YAML: ",
                "depth: &x 1;num-heads: *x               | :2:12: the value of \"num-heads\" is a number, a word or a quoted text here, nothing nested or aliased",
                "depth: 1;---;depth: 2                   | :2:1: a recipe is one YAML document",
            })
    void recipesSayWhereTheyAreWrong(String text, String message) throws IOException {
        Path recipe = Files.writeString(folder.resolve("recipe.yaml"), text.replace(";", "\n") + "\n");
        fails(
                ExitCode.USAGE,
                "recipe.yaml" + (message.startsWith(":") ? message : ""),
                TinyRun.flags("train", "--config=" + recipe, "--dry-run"));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "CHECKPOINT | inspect nowhere | nowhere: no such file or folder",
                "CHECKPOINT | inspect $TEXT | is a text, not weights, beginning",
                "CHECKPOINT | inspect $CUT | after its header; was it cut short?",
                "CHECKPOINT | sample --ckpt=$EVIL | os.system",
                "CHECKPOINT | convert $EVIL $OUT.safetensors | os.system",
                "USAGE      | convert $RUN $TEXT | $TEXT is there already, and nothing is overwritten; name another",
                "USAGE      | convert $RUN $OUT.safetensor | no format to write; .safetensors, .pt, or a folder",
                "USAGE      | convert $RUN $OUT.ckpt | no format to write; .safetensors, .pt, or a folder",
                "CHECKPOINT | convert nowhere $OUT.pt | nowhere: no such file or folder",
                "USAGE      | convert $RUN | Missing required parameter: 'TO'",
                "CHECKPOINT | verify $EMPTY | $EMPTY has no checkpoint; give the folder of a run",
                "CHECKPOINT | verify $TEXT | no such folder; give the folder of a run",
                "USAGE      | encode --data-path=$IDX --out=$OUT | --vae is missing: a folder or file of an autoencoder",
                "CHECKPOINT | encode --data-path=$IDX --out=$OUT --vae=$TEXT | $TEXT: ",
                "CHECKPOINT | encode --data-path=$IDX --out=$OUT --vae=$WEIGHTS | encoder.conv_in.weight is missing; this is no AutoencoderKL",
                "USAGE      | encode --data-path=$IDX --vae=x | Missing required option: '--out=FOLDER'",
                "USAGE      | info --image-size=12 | image size 12 is not a multiple of 8, which an autoencoder needs; use --vae none",
                "USAGE      | info --model=DiT-H/2 | unknown value \"DiT-H/2\"; one of [DiT-S/8,",
                "USAGE      | bench --batch=none | --batch: \"none\" is not a whole number of at least 1",
                "USAGE      | completion tcsh | SHELL: unknown value \"tcsh\"; one of [bash, zsh, fish]",
                "USAGE      | doctro | unknown command \"doctro\"; one of [",
                "USAGE      | train --data-path=glyphs --epochs=1 extra | unexpected argument \"extra\"",
                "USAGE      | train --data-path=glyphs | these data are endless and have no epochs; give --max-steps",
                "USAGE      | train --data-path | Missing required parameter",
                "USAGE      | $TRAIN --resume=$EMPTY | $EMPTY: is not the folder of a run: it has no run.json",
                "CHECKPOINT | $TRAIN --resume=nowhere | nowhere: no such file or folder; give the folder of a run, or a training checkpoint of the published script",
                "CHECKPOINT | $TRAIN --resume=$TEXT | a new run can begin with the weights (--init-from)",
                "CHECKPOINT | $TRAIN --resume=$EVIL | os.system",
                "CHECKPOINT | $TRAIN --init-from=nowhere | nowhere: no such file or folder",
                "USAGE      | $TRAIN --init-from=$RUN --resume=$TEXT | give one of them",
                "USAGE      | $TRAIN --resume=$RUN --depth=2 | trains another model: model.depth: 2, was 1;",
                "USAGE      | $TRAIN --keep-last=0 | --keep-last: \"0\" is not a whole number of at least 1",
                "USAGE      | $TRAIN --on-save-failure=ignore | one of [continue, stop]",
                "USAGE      | $TRAIN --device=cuda:x | unknown device \"cuda:x\"; use cpu, cuda",
            })
    void everyOtherCommandSaysWhatIsWrong(ExitCode exitCode, String command, String message) {
        String[] words = filled(command).split(" ");
        fails(
                exitCode,
                message == null ? "" : message,
                words[0].equals("$TRAIN")
                        ? TinyRun.flags(
                                "train",
                                Stream.concat(
                                                Stream.of("--results-dir=" + folder.resolve("out")),
                                                Stream.of(words).skip(1))
                                        .toArray(String[]::new))
                        : words);
    }

    @Test
    void aDeviceThatIsNotThereIsTheDevicesFault() {
        assumeFalse(Backend.hasCuda());
        fails(ExitCode.DEVICE, "device \"cuda\" is not here", "sample", "--ckpt=$RUN", "--device=cuda");
        fails(ExitCode.DEVICE, "device \"cuda:1\" is not here", TinyRun.flags("train", "--device=cuda:1"));
    }

    @Test
    void aFolderInWhichAnotherTrainsIsRefused() throws IOException {
        Path results = folder.resolve("two");
        Path run = TinyRun.train(results, "--sample-every=0");
        try (RunLock lock = RunLock.take(new RunFolder(run))) {
            fails(
                    ExitCode.USAGE,
                    run + " is being trained by process "
                            + ProcessHandle.current().pid()
                            + "; wait for it, stop it, or start another run with --resume never",
                    TinyRun.flags("train", "--results-dir=" + results, "--sample-every=0", "--max-steps=5"));
        }
    }

    @Test
    void theStackTraceComesOnRequest() {
        CommandRun debug = CommandRun.of("sample", "--ckpt", filled("$CUT"), "--debug");
        assertEquals(ExitCode.CHECKPOINT.code, debug.exitCode());
        assertTrue(debug.err().contains("\tat "), debug.err());
    }
}
