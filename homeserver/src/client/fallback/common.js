"use strict";

// What both pages need: elements by their ids, requests, and what people are told.
const page = {
    find: (id) => document.getElementById(id),

    show(id, visible) {
        page.find(id).hidden = !visible;
    },

    problem(text) {
        page.find("problem").textContent = text;
    },

    status(text) {
        page.find("status").textContent = text;
    },

    // The answer's status and JSON. What is no JSON counts as an error of the server.
    async ask(method, path, body) {
        const request = { method, credentials: "omit" };
        if (body !== undefined) {
            request.body = JSON.stringify(body);
            request.headers = { "Content-Type": "application/json" };
        }
        try {
            const answer = await fetch(`/_matrix/client/v3/${path}`, request);
            return { status: answer.status, body: await answer.json() };
        } catch {
            return { status: 0, body: { error: "The server does not answer. Please try again later." } };
        }
    },

    // The parameters of this page that go on to the server, none of which is secret.
    parameters() {
        const query = new URLSearchParams(location.search);
        const chosen = {};
        for (const key of ["device_id", "initial_device_display_name"]) {
            if (query.has(key)) {
                chosen[key] = query.get(key);
            }
        }
        if (query.get("refresh_token") === "true") {
            chosen.refresh_token = true;
        }
        return chosen;
    },
};
