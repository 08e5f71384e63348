package org.dit4j.web;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * What happens to one job or run, for those who watch. Who publishes only puts into mailboxes, and never waits. Events of state are kept, and
 * who comes back gets those that were missed; of the others (steps, previews) only the newest counts.
 */
final class Topic {
    /** A message as it goes over the wire. */
    record Event(long id, String name, byte[] frame, long nanos) {}

    private final EventHub hub;
    private final List<Event> states = new ArrayList<>();
    private final Map<String, Event> newest = new LinkedHashMap<>();
    private final Set<Viewer> viewers = new LinkedHashSet<>();
    private long lastId;
    private boolean ended;

    Topic(EventHub hub) {
        this.hub = hub;
    }

    private Event event(String name, Object data) {
        long id = ++lastId;
        String head = "id: " + id + "\nevent: " + name + "\ndata: ",
                json = new String(Json.bytes(data), StandardCharsets.UTF_8);
        return new Event(id, name, (head + json + "\n\n").getBytes(StandardCharsets.UTF_8), System.nanoTime());
    }

    /** Something that every viewer is to hear. */
    synchronized void state(String name, Object data) {
        Event event = event(name, data);
        states.add(event);
        viewers.forEach(viewer -> viewer.put(event));
    }

    /** Something of which only the newest counts. */
    synchronized void newest(String name, Object data) {
        Event event = event(name, data);
        newest.put(name, event);
        viewers.forEach(viewer -> hub.replaced(name, viewer.replace(event)));
    }

    /** Nothing more will happen. */
    synchronized void end() {
        ended = true;
        viewers.forEach(Viewer::end);
    }

    /** Lets a viewer in, who has seen all up to an event. */
    synchronized void join(Viewer viewer, long seen) {
        viewers.add(viewer);
        for (Event event : states) if (event.id() > seen) viewer.put(event);
        for (Event event : newest.values()) if (event.id() > seen) viewer.replace(event);
        if (ended) viewer.end();
    }

    synchronized void leave(Viewer viewer) {
        viewers.remove(viewer);
    }

    synchronized boolean isWatched() {
        return !viewers.isEmpty();
    }

    /** The previews of what ended long ago are not kept. */
    synchronized void forgetNewest() {
        newest.clear();
    }
}
