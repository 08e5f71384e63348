package org.dit4j.web;

import com.fasterxml.jackson.databind.JsonNode;
import io.javalin.http.Context;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.GZIPOutputStream;
import org.dit4j.io.Sha256;
import org.snakeyaml.engine.v2.api.Load;
import org.snakeyaml.engine.v2.api.LoadSettings;

/** The page's files and the description of the API, packed once. They hold nothing secret, so that a browser without a session can show them. */
final class Page {
    static final List<String> FILES = List.of(
            "index.html",
            "style.css",
            "app.js",
            "api.js",
            "create.js",
            "gallery.js",
            "compare.js",
            "grids.js",
            "training.js",
            "chart.js",
            "queue.js",
            "about.js",
            "icon.svg");
    private static final Map<String, String> TYPES = Map.of(
            "html", "text/html;charset=utf-8",
            "css", "text/css;charset=utf-8",
            "js", "text/javascript;charset=utf-8",
            "svg", "image/svg+xml");

    private final Map<String, Packed> files = new LinkedHashMap<>();
    private final Packed openApi;
    private final JsonNode description;

    private record Packed(byte[] plain, byte[] gzip, String type, String tag) {}

    Page() throws IOException {
        for (String file : FILES) files.put(file, packed(read(file), TYPES.get(file.replaceFirst(".*\\.", ""))));
        Object yaml = new Load(LoadSettings.builder().build())
                .loadFromString(new String(read("openapi.yaml"), StandardCharsets.UTF_8));
        byte[] json = Json.bytes(yaml);
        description = Json.parse(json);
        openApi = packed(json, "application/json");
    }

    private static byte[] read(String name) throws IOException {
        try (InputStream in = Page.class.getResourceAsStream("/web/" + name)) {
            if (in == null) throw new IOException("/web/" + name + " is not in this build");
            return in.readAllBytes();
        }
    }

    private static Packed packed(byte[] plain, String type) throws IOException {
        ByteArrayOutputStream gzip = new ByteArrayOutputStream();
        try (GZIPOutputStream out = new GZIPOutputStream(gzip)) {
            out.write(plain);
        }
        return new Packed(
                plain, gzip.toByteArray(), type, '"' + Sha256.hex(plain).substring(0, 32) + '"');
    }

    /** Bytes over the wire of all that a browser loads. */
    int gzippedBytes() {
        return files.values().stream().mapToInt(file -> file.gzip.length).sum();
    }

    JsonNode description() {
        return description;
    }

    void send(Context context, String file) {
        send(context, files.get(file));
    }

    void sendOpenApi(Context context) {
        send(context, openApi);
    }

    private static void send(Context context, Packed file) {
        context.header("ETag", file.tag);
        context.header("Cache-Control", "no-cache");
        context.header("Vary", "Accept-Encoding");
        if (file.tag.equals(context.req().getHeader("If-None-Match"))) {
            context.status(304);
            return;
        }
        String accepted = context.req().getHeader("Accept-Encoding");
        boolean gzip = accepted != null && accepted.contains("gzip");
        if (gzip) context.header("Content-Encoding", "gzip");
        context.contentType(file.type).result(gzip ? file.gzip : file.plain);
    }
}
