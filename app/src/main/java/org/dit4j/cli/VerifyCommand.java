package org.dit4j.cli;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.dit4j.checkpoint.CheckpointFolder;
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
            "Reads every byte of a run's checkpoints and says which are as they were written.",
            "Exits with 5 if one is not, or if there is none."
        })
final class VerifyCommand implements Callable<Integer> {
    @Parameters(paramLabel = "RUN", description = "A run folder, or one checkpoint of it.")
    private Path path;

    @Option(names = "--json", description = "Print one JSON object: checkpoint to damage, newest first.")
    private boolean json;

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() throws IOException {
        Map<String, List<String>> damage = new LinkedHashMap<>();
        for (Path checkpoint : checkpoints()) damage.put(checkpoint.toString(), CheckpointFolder.verify(checkpoint));
        PrintWriter out = spec.commandLine().getOut();
        if (json) out.println(new ObjectMapper().writeValueAsString(damage));
        else
            damage.forEach((checkpoint, problems) -> {
                out.println((problems.isEmpty() ? "OK   " : "FAIL ") + checkpoint);
                problems.forEach(problem -> out.println("     " + problem));
            });
        out.flush();
        return (damage.values().stream().allMatch(List::isEmpty) ? ExitCode.DONE : ExitCode.CHECKPOINT).code;
    }

    private List<Path> checkpoints() throws IOException {
        return Failure.as(ExitCode.CHECKPOINT, () -> {
            if (!Files.isDirectory(path))
                throw new NoSuchFileException(path.toString(), null, "no such folder; give the folder of a run");
            if (CheckpointFolder.isCheckpoint(path)) return List.of(path);
            List<Path> checkpoints = CheckpointFolder.checkpoints(new RunFolder(path).checkpoints());
            if (checkpoints.isEmpty()) throw new IOException(path + " has no checkpoint; give the folder of a run");
            return checkpoints;
        });
    }
}
