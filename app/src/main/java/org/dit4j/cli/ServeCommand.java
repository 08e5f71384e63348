package org.dit4j.cli;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import org.dit4j.checkpoint.OpenOptions;
import org.dit4j.torch.Backend;
import org.dit4j.web.Studio;
import org.dit4j.web.StudioConfig;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import picocli.CommandLine.TypeConversionException;

@Command(
        name = "serve",
        mixinStandardHelpOptions = true,
        sortOptions = false,
        customSynopsis = "dit serve [RUN|CHECKPOINT|FOLDER]... [FLAG]...",
        optionListHeading = "%nFlags:%n",
        description = {
            "The studio: a page where pictures form before your eyes, a gallery, and an API. It needs no network.",
            "It listens on this machine only, unless --bind and --token-file say otherwise. Ctrl-C ends it; what waits is done at the next start."
        },
        footer = {"", "For example:", "  dit serve --open", "  dit serve results/000-DiT-S-4 --gallery pictures"})
final class ServeCommand implements Callable<Integer> {
    /** {@code 30s}, {@code 2m}. */
    static final class Seconds implements ITypeConverter<Duration> {
        @Override
        public Duration convert(String text) {
            if (!text.toLowerCase(Locale.ROOT).matches("\\d{1,6}[sm]?"))
                throw new TypeConversionException("\"" + text + "\" is no time, as 30s or 2m");
            long number = Long.parseLong(text.replaceAll("\\D", ""));
            return text.toLowerCase(Locale.ROOT).endsWith("m")
                    ? Duration.ofMinutes(number)
                    : Duration.ofSeconds(number);
        }
    }

    @Parameters(
            arity = "0..*",
            paramLabel = "PATH",
            description =
                    "What to draw with: runs, checkpoints, files of weights, or folders of runs. Default: results.")
    private List<Path> paths = List.of(Path.of("results"));

    @Option(names = "--open", description = "Open the page in a browser.")
    private boolean openPage;

    @Option(
            names = "--bind",
            paramLabel = "ADDRESS",
            description =
                    "Listen on this address; any but this machine's own needs --token-file. Default: ${DEFAULT-VALUE}.")
    private String bind = "127.0.0.1";

    @Option(
            names = "--port",
            converter = Ranges.CountOrNone.class,
            paramLabel = "N",
            description = "0 is any free one. Default: ${DEFAULT-VALUE}.")
    private int port = 8787;

    @Option(
            names = "--host",
            paramLabel = "NAME",
            description = "A further name that it is called by, as behind a proxy; the flag again for more.")
    private List<String> hosts = List.of();

    @Option(
            names = "--token-file",
            paramLabel = "FILE",
            description =
                    "A file of mode 600 with a token of 128 bits or more, which clients must show. Default: none.")
    private Path tokenFile;

    @Option(
            names = "--gallery",
            paramLabel = "FOLDER",
            description = "Where the pictures are kept. Default: ${DEFAULT-VALUE}.")
    private Path gallery = Path.of("gallery");

    @Option(
            names = "--max-queue",
            converter = Ranges.Count.class,
            paramLabel = "N",
            description = "Jobs that may wait; more are refused. Default: ${DEFAULT-VALUE}.")
    private int maxQueue = 32;

    @Option(
            names = "--grace",
            converter = Seconds.class,
            paramLabel = "TIME",
            description = "How long running jobs may go on after SIGTERM or Ctrl-C, as 30s or 2m. Default: 30s.")
    private Duration grace = Duration.ofSeconds(30);

    @Option(
            names = "--device",
            split = ",",
            completionCandidates = Names.Devices.class,
            paramLabel = "NAME",
            description = "cpu, cuda, cuda:N, or auto; several by commas, each of which draws. Default: auto.")
    private List<String> devices = List.of("auto");

    @Mixin
    private final VaeFlag vae = new VaeFlag();

    @Option(
            names = "--preview-vae",
            paramLabel = "PATH",
            description =
                    "A small autoencoder to show the steps with, for example TAESD. Default: a projection to colours.")
    private Path previewVae;

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() throws IOException, InterruptedException {
        for (String device : devices) Failure.as(ExitCode.DEVICE, () -> Backend.device(device));
        OpenOptions options = OpenOptions.DEFAULT.withVaeScaling(vae.scaling());
        StudioConfig config = new StudioConfig(
                paths,
                vae.isGiven() ? options.withVae(vae.path()) : options,
                devices,
                Optional.ofNullable(previewVae),
                gallery,
                bind,
                port,
                hosts,
                Optional.ofNullable(tokenFile),
                maxQueue,
                grace);
        CountDownLatch stopped = new CountDownLatch(1);
        PrintWriter out = spec.commandLine().getOut(), err = spec.commandLine().getErr();
        try (Signals signals = Signals.handle("finishing what runs", stopped::countDown, () -> {});
                Studio studio = Failure.as(ExitCode.USAGE, () -> Studio.start(config))) {
            out.println(studio.link());
            out.flush();
            if (studio.modelIds().isEmpty())
                err.println("no model in " + paths
                        + " yet: ./dit demo trains one; the page shows it as soon as it is there");
            err.println("Ctrl-C ends it");
            err.flush();
            if (openPage) open(studio.link(), err);
            stopped.await();
            return signals.received().code;
        }
    }

    private static void open(String link, PrintWriter err) {
        boolean mac = System.getProperty("os.name").startsWith("Mac"),
                windows = System.getProperty("os.name").startsWith("Windows");
        List<String> command = windows
                ? List.of("rundll32", "url.dll,FileProtocolHandler", link)
                : List.of(mac ? "open" : "xdg-open", link);
        try {
            new ProcessBuilder(command)
                    .redirectErrorStream(true)
                    .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                    .start();
        } catch (IOException e) {
            err.println("no browser was opened (" + e.getMessage() + "); open the address above");
            err.flush();
        }
    }
}
