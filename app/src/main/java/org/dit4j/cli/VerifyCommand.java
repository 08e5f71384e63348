package org.dit4j.cli;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import org.dit4j.checkpoint.CheckpointFolder;
import org.dit4j.data.LatentCache;
import org.dit4j.run.RunFolder;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

@Command(
        name = "verify",
        mixinStandardHelpOptions = true,
        description = {
            "Reads every byte of a run's checkpoints, or of the latents of dit encode, and says which are as they were written.",
            "Exits with 5 if a checkpoint is not, or if there is none; with 4 for latents."
        })
final class VerifyCommand implements Callable<Integer> {
    /** How often is looked again where all that was found is replaced. */
    private static final int LOOKS = 20;

    @Parameters(paramLabel = "RUN", description = "A run folder, one checkpoint of it, or a folder of latents.")
    private Path path;

    @Option(names = "--json", description = "Print one JSON object: checkpoint or shard to damage, newest first.")
    private boolean json;

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() throws IOException {
        if (LatentCache.isCache(path)) return verifyLatents();
        Map<String, List<String>> damage = new LinkedHashMap<>();
        Set<Path> replaced = new LinkedHashSet<>();
        for (int look = 0; look < LOOKS && damage.isEmpty(); look++) verify(checkpoints(), damage, replaced);
        print(damage, spec.commandLine().getOut());
        for (Path checkpoint : replaced) spec.commandLine().getErr().println(checkpoint + " was replaced meanwhile");
        return (damage.values().stream().allMatch(List::isEmpty) ? ExitCode.DONE : ExitCode.CHECKPOINT).code;
    }

    private int verifyLatents() {
        Map<Path, Optional<List<String>>> shards = Failure.as(ExitCode.DATA, () -> LatentCache.verify(path));
        PrintWriter out = spec.commandLine().getOut(), err = spec.commandLine().getErr();
        Map<String, List<String>> damage = new LinkedHashMap<>();
        shards.forEach((file, found) -> found.ifPresent(lines -> damage.put(file.toString(), lines)));
        print(damage, out);
        long unknown = shards.size() - damage.size();
        if (unknown > 0)
            err.println(unknown
                    + " shards have no checksums, as an older version wrote them; the same dit encode adds them");
        return (damage.values().stream().allMatch(List::isEmpty) ? ExitCode.DONE : ExitCode.DATA).code;
    }

    private void print(Map<String, List<String>> damage, PrintWriter out) {
        if (json) out.println(Failure.as(ExitCode.INTERNAL, () -> new ObjectMapper().writeValueAsString(damage)));
        else
            damage.forEach((file, problems) -> {
                out.println((problems.isEmpty() ? "OK   " : "FAIL ") + file);
                problems.forEach(problem -> out.println("     " + problem));
            });
        out.flush();
    }

    /** A process may train there, and replace what is read. */
    private static void verify(List<Path> checkpoints, Map<String, List<String>> damage, Set<Path> replaced) {
        for (Path checkpoint : checkpoints) {
            Optional<List<String>> found = CheckpointFolder.verifyUnlessReplaced(checkpoint);
            if (found.isPresent()) damage.put(checkpoint.toString(), found.get());
            else replaced.add(checkpoint);
        }
    }

    private List<Path> checkpoints() throws IOException {
        return Failure.as(ExitCode.CHECKPOINT, () -> {
            if (!Files.isDirectory(path))
                throw new NoSuchFileException(path.toString(), null, "no such folder; give the folder of a run");
            if (CheckpointFolder.isCheckpoint(path)) return List.of(path);
            Path folder = new RunFolder(path).checkpoints();
            List<Path> checkpoints = CheckpointFolder.checkpoints(folder);
            if (checkpoints.isEmpty())
                checkpoints = CheckpointFolder.latest(folder).stream().toList(); // looks closer
            if (checkpoints.isEmpty()) throw new IOException(path + " has no checkpoint; give the folder of a run");
            return checkpoints;
        });
    }
}
