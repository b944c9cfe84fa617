"use strict";

// Stages of user-interactive authentication that this page does by itself; for others it opens their own pages.
const DUMMY = "m.login.dummy";
const TOKEN = "m.login.registration_token";

let account = null;

function registered(answer) {
    for (const id of ["account", "token", "elsewhere"]) {
        page.show(id, false);
    }
    if (window.matrixRegistration && window.matrixRegistration.onRegistered) {
        page.status("You are registered.");
        window.matrixRegistration.onRegistered(answer.home_server, answer.user_id, answer.access_token);
    } else {
        page.status(`You are registered as ${answer.user_id}. Log in with any client.`);
    }
}

// Asks to register with what was done so far, and shows what is to be done next.
async function attempt(auth) {
    page.problem("");
    const body = { ...page.parameters(), ...account };
    if (auth !== undefined) {
        body.auth = auth;
    }
    const answer = await page.ask("POST", "register", body);
    if (answer.status === 200) {
        registered(answer.body);
    } else if (answer.status === 401 && answer.body.flows) {
        await next(answer.body);
    } else {
        page.show("account", true);
        page.problem(answer.body.error || "That did not work.");
    }
}

async function next(challenge) {
    const done = challenge.completed || [];
    const left = (flow) => flow.stages.filter((stage) => !done.includes(stage));
    const flows = challenge.flows.map(left).sort((a, b) => a.length - b.length);
    const stage = flows.length > 0 ? flows[0][0] : undefined;
    page.show("account", false);
    page.show("token", stage === TOKEN);
    page.show("elsewhere", stage !== undefined && stage !== TOKEN && stage !== DUMMY);
    if (stage === DUMMY) {
        await attempt({ type: DUMMY, session: challenge.session });
    } else if (stage === TOKEN) {
        const form = page.find("token");
        form.onsubmit = async (event) => {
            event.preventDefault();
            const token = form.elements.token.value.trim();
            await attempt({ type: TOKEN, token, session: challenge.session });
            if (!form.hidden) {
                page.problem("That token is not valid.");
            }
        };
        form.elements.token.focus();
    } else if (stage !== undefined) {
        openElsewhere(stage, challenge.session);
    }
}

function openElsewhere(stage, session) {
    let opened = null;
    const button = page.find("elsewhere").querySelector("button");
    button.onclick = () => {
        const query = new URLSearchParams({ session });
        opened = window.open(`/_matrix/client/v3/auth/${encodeURIComponent(stage)}/fallback/web?${query}`);
    };
    window.onmessage = async (event) => {
        if (event.data !== "authDone" || event.origin !== location.origin || event.source !== opened) {
            return;
        }
        window.onmessage = null;
        opened.close();
        await attempt({ session });
    };
}

page.find("account").addEventListener("submit", async (event) => {
    event.preventDefault();
    const { user, password, again } = event.target.elements;
    if (password.value !== again.value) {
        page.problem("The two passwords differ.");
        return;
    }
    account = { username: user.value.trim(), password: password.value };
    await attempt();
});
