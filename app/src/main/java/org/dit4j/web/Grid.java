package org.dit4j.web;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.awt.Color;
import java.awt.FontMetrics;
import java.awt.Graphics2D;
import java.awt.RenderingHints;
import java.awt.image.BufferedImage;
import java.util.ArrayList;
import java.util.List;
import org.dit4j.report.Fonts;

/** Pictures along two axes: each cell an ordinary request of one picture. */
record Grid(Job.Axes axes, List<Generation> cells) {
    private static final List<String> VARIED =
            List.of("seed", "guidance", "steps", "sampler", "classes", "model", "weights", "index", "eta");
    private static final int CAPTION = 24, MARGIN = 110, GAP = 4;

    /** @throws Problem naming the field that cannot be */
    static Grid of(ObjectNode body, Models models) {
        Fields fields = new Fields(body, "", List.of("base", "x", "y"));
        if (!(fields.node("base") instanceof ObjectNode base))
            throw fields.wrong("base", "a request as /v1/generations takes it");
        List<JsonNode> xs = values(fields, "x"), ys = fields.has("y") ? values(fields, "y") : List.of();
        String x = axis(fields, "x"), y = fields.has("y") ? axis(fields, "y") : null;
        if (x.equals(y)) throw Problem.field("/y/field", "both axes vary " + x);
        int rows = Math.max(1, ys.size());
        if (xs.size() * rows > Generation.MOST_PICTURES)
            throw Problem.field("/x/values", xs.size() * rows + " cells; at most " + Generation.MOST_PICTURES);
        List<Generation> cells = new ArrayList<>();
        for (int row = 0; row < rows; row++)
            for (JsonNode column : xs) {
                ObjectNode cell = base.deepCopy();
                set(cell, x, column);
                if (y != null) set(cell, y, ys.get(row));
                Generation generation = Generation.of(cell, "/base", List.of(), models);
                if (generation.labels().size() != 1)
                    throw Problem.field("/base/classes", "a cell is one picture: one class, or none, and a count of 1");
                cells.add(generation);
            }
        return new Grid(new Job.Axes(x, words(xs), y, words(ys)), cells);
    }

    private static void set(ObjectNode cell, String field, JsonNode value) {
        if (field.equals("classes")) cell.putArray(field).add(value);
        else cell.set(field, value);
    }

    private static String axis(Fields fields, String name) {
        Fields axis = new Fields((ObjectNode) fields.node(name), "/" + name, List.of("field", "values"));
        String field = axis.text("field", "");
        if (!VARIED.contains(field)) throw Problem.field("/" + name + "/field", "an axis varies one of " + VARIED);
        return field;
    }

    private static List<JsonNode> values(Fields fields, String name) {
        JsonNode values = fields.node(name).path("values");
        if (!fields.node(name).isObject() || !values.isArray() || values.isEmpty())
            throw fields.wrong(name, "{\"field\": …, \"values\": [one or more]}");
        if (values.size() > Generation.MOST_PICTURES)
            throw Problem.field("/" + name + "/values", "at most " + Generation.MOST_PICTURES + " values");
        List<JsonNode> list = new ArrayList<>();
        values.forEach(list::add);
        return list;
    }

    private static List<String> words(List<JsonNode> values) {
        return values.stream().map(JsonNode::asText).toList();
    }

    /** All cells with the values of their axes; those that are not drawn yet stay grey. */
    static BufferedImage sheet(Job.Axes axes, List<BufferedImage> cells) {
        if (cells.isEmpty()) throw new Problem(404, "no cell of this grid is drawn yet");
        int width = Math.max(48, cells.get(0).getWidth()), height = cells.get(0).getHeight();
        int rows = Math.max(1, axes.ys().size()), columns = axes.xs().size(), left = axes.y() == null ? GAP : MARGIN;
        BufferedImage sheet = new BufferedImage(
                left + columns * (width + GAP), CAPTION + GAP + rows * (height + GAP), BufferedImage.TYPE_INT_RGB);
        Graphics2D graphics = sheet.createGraphics();
        graphics.setColor(Color.WHITE);
        graphics.fillRect(0, 0, sheet.getWidth(), sheet.getHeight());
        for (int i = 0; i < rows * columns; i++) {
            int x = left + i % columns * (width + GAP), y = CAPTION + GAP + i / columns * (height + GAP);
            graphics.setColor(Color.LIGHT_GRAY);
            graphics.fillRect(x, y, width, height);
            if (i < cells.size()) graphics.drawImage(cells.get(i), x, y, null);
        }
        if (Fonts.available()) {
            graphics.setColor(Color.BLACK);
            graphics.setFont(Fonts.CAPTION);
            graphics.setRenderingHint(RenderingHints.KEY_TEXT_ANTIALIASING, RenderingHints.VALUE_TEXT_ANTIALIAS_ON);
            FontMetrics metrics = graphics.getFontMetrics();
            for (int i = 0; i < columns; i++)
                graphics.drawString(
                        fitted(axes.x() + " " + axes.xs().get(i), axes.xs().get(i), width, metrics),
                        left + i * (width + GAP),
                        CAPTION - 6);
            for (int i = 0; axes.y() != null && i < rows; i++)
                graphics.drawString(
                        fitted(axes.y() + " " + axes.ys().get(i), axes.ys().get(i), MARGIN - GAP, metrics),
                        GAP,
                        CAPTION + GAP + i * (height + GAP) + height / 2);
        }
        graphics.dispose();
        return sheet;
    }

    private static String fitted(String full, String brief, int width, FontMetrics metrics) {
        return metrics.stringWidth(full) <= width ? full : brief;
    }
}
