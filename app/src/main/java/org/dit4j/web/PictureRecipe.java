package org.dit4j.web;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import org.dit4j.report.PngText;
import org.dit4j.report.Software;
import org.dit4j.report.Words;
import org.dit4j.torch.Precision;

/**
 * How one picture was drawn, as JSON in its PNG: all that a request takes to draw it again, and which file the weights were. It says nothing
 * of when or with what else, so that the same recipe gives the same file.
 */
final class PictureRecipe {
    /** Of the text chunk. */
    static final String KEY = "dit4j.recipe";

    private PictureRecipe() {}

    /** The text chunks of a picture: what {@code dit sample} writes, for people, and the recipe, for programs. */
    static Map<String, String> text(Model model, Generation picture) {
        Map<String, String> text = new LinkedHashMap<>(
                PngText.of(picture.request(), model.pipeline(), model.entry().id()));
        text.put("Precision", Words.choice(Precision.FP32));
        text.put("Picture", Long.toString(picture.index()));
        int label = picture.labels().get(0);
        ObjectNode recipe = Json.object().put("version", 1).put("software", Software.version());
        recipe.putObject("model")
                .put("id", model.entry().id())
                .put("checkpoint", model.entry().checkpoint())
                .put("weights", Words.choice(model.weights()))
                .put("digest", model.digest());
        if (label >= 0 && model.pipeline().config().numClasses() > 0) {
            String name = model.pipeline().classNames().name(label);
            text.put("Class", name);
            text.put("Label", Integer.toString(label));
            recipe.putObject("class").put("label", label).put("name", name);
        }
        recipe.put("seed", Long.toString(picture.seed()))
                .put("index", picture.index())
                .put("steps", picture.steps())
                .put("sampler", Words.choice(picture.sampler()))
                .put("eta", picture.eta())
                .put("guidance", picture.guidance());
        if (picture.interval() != null)
            recipe.putArray("interval")
                    .add(picture.interval().get(0))
                    .add(picture.interval().get(1));
        text.put(KEY, recipe.toString());
        return text;
    }

    /** The recipe in a picture's text; of one that {@code dit sample} has written what its words say; null if there is none. */
    static ObjectNode of(Map<String, String> text) {
        if (text.containsKey(KEY)) {
            try {
                JsonNode recipe = Json.parse(text.get(KEY).getBytes(StandardCharsets.UTF_8));
                if (recipe instanceof ObjectNode object) return object;
            } catch (IOException e) {
                // somebody's
            }
            return null;
        }
        if (!text.containsKey("Seed") || !text.containsKey("Steps") || !text.containsKey("Sampler")) return null;
        ObjectNode recipe = Json.object().put("version", 1).put("software", text.getOrDefault("Software", ""));
        recipe.putObject("model").put("id", text.getOrDefault("Checkpoint", "").replaceFirst(".*/", ""));
        if (text.getOrDefault("Label", "").matches("\\d{1,9}"))
            recipe.putObject("class")
                    .put("label", Integer.parseInt(text.get("Label")))
                    .put("name", text.getOrDefault("Class", ""));
        String[] sampler = text.get("Sampler").split(", eta ");
        recipe.put("seed", text.get("Seed"))
                .put("index", number(text.getOrDefault("Picture", "0"), 0))
                .put("steps", text.get("Steps"))
                .put("sampler", sampler[0])
                .put("eta", sampler.length > 1 ? number(sampler[1], 0) : 0)
                .put("guidance", number(text.getOrDefault("Guidance", "1").split(",")[0], 1));
        return recipe;
    }

    private static double number(String text, double otherwise) {
        try {
            return Double.parseDouble(text);
        } catch (NumberFormatException e) {
            return otherwise;
        }
    }
}
