"use strict";

// That somebody went to an identity provider from this very tab: a token that comes without having been asked for is not used.
const ASKED = "landbridge-login";

function loggedIn(answer) {
    page.show("password", false);
    page.show("providers", false);
    page.problem("");
    if (window.matrixLogin && window.matrixLogin.onLogin) {
        page.status("You are logged in.");
        window.matrixLogin.onLogin(answer);
    } else {
        page.status("You are logged in, but no client opened this page that could go on from here.");
    }
}

async function logIn(what) {
    page.problem("");
    const answer = await page.ask("POST", "login", { ...page.parameters(), ...what });
    if (answer.status === 200) {
        loggedIn(answer.body);
        return true;
    }
    page.problem(answer.body.error || "That did not work.");
    return false;
}

function offerProviders(flow) {
    const back = new URL(location.href);
    back.searchParams.delete("loginToken");
    back.hash = "";
    const query = new URLSearchParams({ redirectUrl: back.href });
    const providers = flow.identity_providers || [{ name: "single sign-on" }];
    const list = page.find("providers");
    list.replaceChildren();
    for (const provider of providers) {
        const link = document.createElement("a");
        const id = provider.id === undefined ? "" : `/${encodeURIComponent(provider.id)}`;
        link.href = `/_matrix/client/v3/login/sso/redirect${id}?${query}`;
        link.textContent = `Continue with ${provider.name}`;
        link.addEventListener("click", () => sessionStorage.setItem(ASKED, "yes"));
        const item = document.createElement("li");
        item.append(link);
        list.append(item);
    }
    page.show("providers", true);
}

async function offer() {
    const answer = await page.ask("GET", "login");
    if (answer.status !== 200) {
        page.problem(answer.body.error || "That did not work.");
        return;
    }
    const flows = new Map(answer.body.flows.map((flow) => [flow.type, flow]));
    page.show("password", flows.has("m.login.password"));
    if (flows.has("m.login.sso")) {
        offerProviders(flows.get("m.login.sso"));
    }
}

async function begin() {
    const form = page.find("password");
    form.addEventListener("submit", async (event) => {
        event.preventDefault();
        const user = form.elements.user.value.trim();
        const password = form.elements.password.value;
        const identifier = { type: "m.id.user", user };
        await logIn({ type: "m.login.password", identifier, password });
    });
    const here = new URL(location.href);
    const token = here.searchParams.get("loginToken");
    if (token !== null) {
        here.searchParams.delete("loginToken");
        history.replaceState(null, "", here);
        const asked = sessionStorage.getItem(ASKED) === "yes";
        sessionStorage.removeItem(ASKED);
        if (asked && await logIn({ type: "m.login.token", token })) {
            return;
        }
    }
    await offer();
}

begin();
