package org.dit4j.web;

import io.javalin.http.Context;
import java.io.IOException;
import java.net.InetAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;

/**
 * Who may ask. The name that a request calls this server by must be one of its own (a page whose name was rebound to this machine is turned
 * away), no other page's script may ask at all, and where there is a token everybody shows it.
 */
final class Access {
    static final String COOKIE = "dit_session";
    /** As many as make 128 bits. */
    private static final int HEX_DIGITS = 32, BASE64_DIGITS = 22;

    private static final int MOST_SESSIONS = 64;
    private static final SecureRandom RANDOM = new SecureRandom();

    private final Set<String> hosts = new TreeSet<>();
    /** Null where none is asked for. */
    private final byte[] token;

    private final Map<String, Boolean> sessions = new LinkedHashMap<>(16, 0.75f, true);

    /**
     * @throws IllegalArgumentException if an address that others reach is to be served without a token, or the token's file is too short or
     *     others may read it
     */
    Access(StudioConfig config) throws IOException {
        InetAddress address = InetAddress.getByName(config.bind());
        if (!address.isLoopbackAddress() && config.tokenFile().isEmpty())
            throw new IllegalArgumentException("--bind " + config.bind()
                    + ": others could reach it; give a file with a token of 128 bits or more: --token-file FILE"
                    + " (head -c 32 /dev/urandom | base64 > FILE; chmod 600 FILE)");
        token = config.tokenFile().isPresent() ? read(config.tokenFile().get()) : null;
        if (address.isLoopbackAddress()) hosts.addAll(Set.of("localhost", "127.0.0.1", "[::1]"));
        hosts.add(
                config.bind().contains(":")
                        ? "[" + config.bind() + "]"
                        : config.bind().toLowerCase(Locale.ROOT));
        if (address.isAnyLocalAddress())
            hosts.addAll(Set.of(
                    "localhost",
                    "127.0.0.1",
                    InetAddress.getLocalHost().getHostName().toLowerCase(Locale.ROOT)));
        config.hosts().forEach(host -> hosts.add(host.toLowerCase(Locale.ROOT)));
    }

    private static byte[] read(Path file) throws IOException {
        String text = Files.readString(file).strip();
        if (file.getFileSystem().supportedFileAttributeViews().contains("posix")) {
            Set<PosixFilePermission> all = Files.getPosixFilePermissions(file);
            all.removeAll(Set.of(PosixFilePermission.OWNER_READ, PosixFilePermission.OWNER_WRITE));
            if (!all.isEmpty())
                throw new IllegalArgumentException(file + ": others may read it, or run it; chmod 600 " + file);
        }
        int least = text.matches("[0-9a-fA-F]+") ? HEX_DIGITS : BASE64_DIGITS;
        if (text.length() < least || !text.matches("[\\x21-\\x7e]+"))
            throw new IllegalArgumentException(file
                    + ": the token needs 128 bits: one word of 32 hexadecimal digits, or of 22 letters and digits, or more"
                    + " (head -c 32 /dev/urandom | base64 > " + file + ")");
        return text.getBytes(StandardCharsets.US_ASCII);
    }

    boolean asksForToken() {
        return token != null;
    }

    /** The token, for the link that is printed once. */
    String token() {
        return new String(token, StandardCharsets.US_ASCII);
    }

    /** @throws Problem if it comes by a foreign name, or from a foreign page */
    void checkOrigin(Context context) {
        String host = context.req().getHeader("Host");
        if (host == null || !hosts.contains(name(host)))
            throw new Problem(421, "this server is not called so; it is " + hosts + " (more names: --host NAME)");
        String origin = context.req().getHeader("Origin");
        if (origin != null && !isOwn(origin, host)) throw new Problem(403, "a page of another origin may not ask here");
        String site = context.req().getHeader("Sec-Fetch-Site");
        boolean foreign = "cross-site".equals(site) || "same-site".equals(site);
        if (foreign && context.req().getRequestURI().startsWith("/v1/"))
            throw new Problem(403, "a page of another site may not ask here");
        if (context.req().getHeader("X-HTTP-Method-Override") != null)
            throw new Problem(400, "the method is that of the request; it cannot be another");
    }

    private static String name(String host) {
        return host.toLowerCase(Locale.ROOT).replaceFirst(":\\d{1,5}$", "");
    }

    private static boolean isOwn(String origin, String host) {
        try {
            URI uri = URI.create(origin);
            return uri.getAuthority() != null
                    && Set.of("http", "https").contains(String.valueOf(uri.getScheme()))
                    && uri.getAuthority().equalsIgnoreCase(host);
        } catch (IllegalArgumentException e) {
            return false;
        }
    }

    /** @throws Problem if there is a token and the request shows neither it nor a session */
    void checkToken(Context context) {
        if (token == null) return;
        String header = context.req().getHeader("Authorization");
        if (header != null && header.startsWith("Bearer ") && isToken(header.substring("Bearer ".length()))) return;
        String session = context.cookie(COOKIE);
        if (session != null)
            synchronized (sessions) {
                if (sessions.get(session) != null) return;
            }
        throw new Problem(
                401, "show the token: Authorization: Bearer TOKEN; a browser gets a session by the link with #token=");
    }

    boolean isToken(String given) {
        return MessageDigest.isEqual(token, given.getBytes(StandardCharsets.UTF_8));
    }

    /** A new session, for a cookie; those unused for longest end. */
    String begin() {
        byte[] random = new byte[32];
        RANDOM.nextBytes(random);
        String session = HexFormat.of().formatHex(random);
        synchronized (sessions) {
            sessions.put(session, true);
            while (sessions.size() > MOST_SESSIONS)
                sessions.remove(sessions.keySet().iterator().next());
        }
        return session;
    }

    /** Whose request it is, for turns and limits: the address, and the name that a client gives itself. */
    static String client(Context context) {
        String name = Optional.ofNullable(context.req().getHeader("Dit-Client")).orElse("");
        return context.req().getRemoteAddr() + (name.matches("[A-Za-z0-9-]{1,32}") ? "/" + name : "");
    }
}
