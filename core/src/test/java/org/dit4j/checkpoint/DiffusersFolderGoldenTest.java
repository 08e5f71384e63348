package org.dit4j.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.Golden;
import org.dit4j.io.Safetensors;
import org.dit4j.torch.TensorScope;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** A folder that diffusers wrote, opened here and written again, is the same folder. */
@ExtendWith(Golden.Cases.class)
class DiffusersFolderGoldenTest {
    private static final String FOLDER = "diffusers_pipeline";

    @TempDir
    Path folder;

    @Test
    void whatWasReadIsWrittenAsDiffusersWroteIt() throws IOException {
        Conversion.convert(Golden.path(FOLDER), folder.resolve("copy"), OpenOptions.DEFAULT, WriteOptions.DEFAULT);
        for (String part : new String[] {"transformer", "vae"}) {
            String file = part + "/diffusion_pytorch_model.safetensors";
            try (TensorScope scope = new TensorScope()) {
                Map<String, Tensor> expected = Golden.tensors(FOLDER + "/" + file);
                Map<String, Tensor> actual =
                        Safetensors.read(folder.resolve("copy").resolve(file));
                assertEquals(expected.keySet(), actual.keySet());
                // copies, not arithmetic: equal to the bit
                expected.forEach((name, tensor) -> Golden.assertClose(name, tensor, actual.get(name), 0));
            }
        }
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> ours =
                    Safetensors.read(folder.resolve("copy/transformer/diffusion_pytorch_model.safetensors"));
            String block = "transformer_blocks.0.attn1.";
            Golden.assertRejected(
                    "keys for queries",
                    Golden.tensors(FOLDER + "/transformer/diffusion_pytorch_model.safetensors")
                            .get(block + "to_q.weight"),
                    ours.get(block + "to_k.weight"),
                    0);
        }
        assertSameValues("transformer/config.json");
        assertSameValues("scheduler/scheduler_config.json");
        assertSameValues("model_index.json");
    }

    /** Every value that we write is theirs; they write a few more, which are diffusers' defaults. */
    private void assertSameValues(String file) throws IOException {
        JsonNode theirs = Golden.json(FOLDER + "/" + file),
                ours =
                        new ObjectMapper()
                                .readTree(folder.resolve("copy").resolve(file).toFile());
        for (Map.Entry<String, JsonNode> value : ours.properties())
            assertEquals(theirs.get(value.getKey()), value.getValue(), file + ": " + value.getKey());
    }
}
