package org.dit4j.web;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.Map;

/** A request that is not done, and why, as RFC 9457 has it. */
final class Problem extends RuntimeException {
    private static final long serialVersionUID = 1;
    private static final Map<Integer, String> TITLES = Map.ofEntries(
            Map.entry(400, "Bad Request"),
            Map.entry(401, "Unauthorized"),
            Map.entry(403, "Forbidden"),
            Map.entry(404, "Not Found"),
            Map.entry(405, "Method Not Allowed"),
            Map.entry(406, "Not Acceptable"),
            Map.entry(408, "Request Timeout"),
            Map.entry(409, "Conflict"),
            Map.entry(413, "Content Too Large"),
            Map.entry(415, "Unsupported Media Type"),
            Map.entry(421, "Misdirected Request"),
            Map.entry(422, "Unprocessable Content"),
            Map.entry(429, "Too Many Requests"),
            Map.entry(431, "Request Header Fields Too Large"),
            Map.entry(500, "Internal Server Error"),
            Map.entry(503, "Service Unavailable"));

    final int status;
    /** Of the field in the body, as RFC 6901 has it; null if it is not about one. */
    final String pointer;
    /** Seconds; 0 for none. */
    final int retryAfter;

    private Problem(int status, String detail, String pointer, int retryAfter) {
        super(detail, null, false, false);
        this.status = status;
        this.pointer = pointer;
        this.retryAfter = retryAfter;
    }

    Problem(int status, String detail) {
        this(status, detail, null, 0);
    }

    /** A value that cannot be. */
    static Problem field(String pointer, String detail) {
        return new Problem(422, detail, pointer, 0);
    }

    /** Not now, but after so many seconds. */
    static Problem later(int status, String detail, double seconds) {
        return new Problem(status, detail, null, (int) Math.max(1, Math.min(3600, Math.ceil(seconds))));
    }

    byte[] toJson() {
        ObjectNode json = Json.object()
                .put("type", "about:blank")
                .put("title", TITLES.getOrDefault(status, "Error"))
                .put("status", status)
                .put("detail", getMessage());
        if (pointer != null) json.put("pointer", pointer);
        return Json.bytes(json);
    }
}
