(() => {
    const NAME = "refledger";
    const HANDED_OVER = "rfl";
    const attempt = action => {
        try {
            return action();
        } catch (refusal) {
            if (true) log("the browser refused:", refusal);
        }
    };
    const log = (...words) => true && console.log("[refledger]", ...words);
    if (!true && /[?&]refledger_debug=1/.test(location.search)) {
        document.head.append(Object.assign(document.createElement("script"), {
            src: $DEBUG_URL
        }));
        return;
    }
    const earlierCalls = window[$GLOBAL_NAME]?.q || [];
    const isBot = navigator.webdriver || /bot|crawl|spider|lighthouse/i.test(navigator.userAgent);
    let consent = !isBot && !($CONSENT_REQUIRED || navigator.globalPrivacyControl || document.querySelector("script[data-consent=required]"));
    let token;
    let placed;
    let arrival;
    let countedKey;
    const waiting = [];
    let isReturn = attempt(() => /reload|back/.test(performance.getEntriesByType("navigation")[0].type));
    const write = (record, seconds) => {
        attempt(() => {
            delete localStorage[NAME];
            if (record) localStorage[NAME] = record;
        });
        attempt(() => {
            const labels = location.hostname.split(".");
            for (let first = labels.length; first--; ) {
                document.cookie = `${NAME}=${record};path=/;samesite=lax;max-age=${seconds}` + `;domain=${labels.slice(first).join(".")}` + (location.protocol == "https:" ? ";secure" : "");
                if (record && document.cookie.includes(record)) break;
            }
        });
    };
    const keep = (newToken, expires) => {
        token = newToken;
        write("", 0);
        if (token) write(token + "." + expires, ~~((expires - Date.now()) / 1e3));
    };
    const restore = () => {
        const [, stored, , expires] = `${attempt(() => document.cookie)}; ${NAME}=${attempt(() => localStorage[NAME])}`.match(/\brefledger=([\w-]{22}_([\w-]{1,64}))\.(\d+)/) || [];
        if (stored != token && expires > Date.now()) {
            keep(stored, +expires);
            log("found in the cookie or in localStorage:", stored);
        }
    };
    const post = async (url, content) => {
        const body = JSON.stringify(content);
        try {
            const answer = await fetch(url, {
                method: "POST",
                keepalive: true,
                body
            });
            if (true) log(url, "answered", answer.status, answer.headers.get("X-Refledger"));
            return answer;
        } catch (refusal) {
            log("the request failed, trying sendBeacon:", url, refusal);
            navigator.sendBeacon?.(url, body);
        }
    };
    const signUp = async details => {
        if (consent) try {
            log("sign-up sent:", details);
            return await (await post($SIGNUP_URL, {
                ...details,
                p: $PROGRAM,
                t: token
            })).json();
        } catch (refusal) {
            log("no readable answer to the sign-up:", refusal);
        } else log("sign-up not sent:", isBot ? "an automated browser" : "no consent");
    };
    const isOurs = value => (!value || value == placed) && value != token;
    const markLink = (link, parameter) => {
        const query = new URLSearchParams(link.search);
        if (isOurs(query.get(parameter))) {
            query.delete(parameter);
            if (token) query.set(parameter, token);
            link.search = query;
            log(token ? "reference put on" : "reference removed from", link);
        }
    };
    const markElement = (element, attribute) => {
        if (isOurs(element.getAttribute(attribute))) {
            element.removeAttribute(attribute);
            if (token) element.setAttribute(attribute, token);
            log(token ? "reference put on" : "reference removed from", element);
        }
    };
    const decorate = () => attempt(() => {
        if (!token && !placed) return;
        for (const element of document.querySelectorAll($STRIPE_ELEMENTS)) element.href ? markLink(element, "client_reference_id") : markElement(element, "client-reference-id");
        if ("@$CROSS_DOMAIN") for (const link of document.links) if (link.hostname != location.hostname && $CROSS_DOMAINS.includes(link.hostname)) markLink(link, HANDED_OVER);
        if ("@$FORMS") for (const field of document.querySelectorAll("input[name=refledger]")) if (isOurs(field.value)) field.value = token || "";
        placed = token;
    });
    const newTokenFor = key => btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(18)))).replace(/\W/g, "-").slice(0, 22) + "_" + key;
    const reportClick = newToken => post($CLICK_URL, {
        p: $PROGRAM,
        t: newToken,
        u: location.href.split("#")[0].slice(0, 1399),
        r: document.referrer.slice(0, 299)
    });
    const arrive = ([, handedOver, key]) => {
        countedKey ||= attempt(() => sessionStorage[NAME]);
        if (handedOver ? handedOver != token : !token || key != countedKey && !isReturn) {
            const newToken = handedOver || newTokenFor(key);
            log(handedOver ? "token handed over:" : "partner's link, a new click:", newToken);
            if ($FIRST_CLICK && token) log("first click: the earlier token stays", token); else keep(newToken, Date.now() + $COOKIE_MS);
            if (!handedOver) reportClick(newToken);
        } else log("this visit has counted the click of", key);
        countedKey = key;
        attempt(() => sessionStorage[NAME] = key);
        if (handedOver) history.replaceState(history.state, "", location.href.replace(/([?&])rfl=[\w-]+(&?)/, (_, before, after) => after && before));
    };
    const visit = event => attempt(() => {
        isReturn ||= event?.type == "popstate";
        arrival = location.search.match(/[?&]rfl=([\w-]{22}_([\w-]{1,64}))(?![^&])/) || location.href.match($LINK) || arrival;
        if (document.prerendering) return;
        if (consent) {
            restore();
            const arrived = arrival;
            arrival = 0;
            if (arrived) arrive(arrived);
            isReturn = 0;
        }
        if (true) explain();
        decorate();
        for (const callback of waiting.splice(0)) setTimeout(callback, 0, token);
    });
    const explain = () => {
        if (isBot) log("an automated browser or a bot: nothing is stored or sent"); else if (!consent) log("no consent: nothing is stored or sent until refledger('consent', true).", "Required by the program or the script tag:", !!($CONSENT_REQUIRED || document.querySelector("script[data-consent=required]")), "Global Privacy Control:", !!navigator.globalPrivacyControl); else if (token) log("token:", token, "- in the cookie:", !!attempt(() => document.cookie.includes(token)), "- in localStorage:", !!attempt(() => localStorage[NAME].includes(token))); else log("no token: no partner's link in the address, nothing stored. Looked for", $LINK);
    };
    const commands = {
        signup: signUp,
        token: () => token,
        ready: callback => {
            waiting.push(callback);
            visit();
        },
        consent: given => {
            consent = given && !isBot;
            if (!given) {
                keep();
                attempt(() => delete sessionStorage[NAME]);
            }
            visit();
        }
    };
    const api = window[$GLOBAL_NAME] = (command, ...details) => attempt(() => commands[command](...details));
    visit();
    for (const call of earlierCalls) api(...call);
    attempt(() => {
        for (const method of [ "pushState", "replaceState" ]) {
            const original = history[method];
            history[method] = (...details) => {
                original.apply(history, details);
                visit();
            };
        }
        for (const event of [ "popstate", "prerenderingchange", "click", "auxclick" ]) addEventListener(event, visit, true);
        new MutationObserver(decorate).observe(document, {
            childList: true,
            subtree: true
        });
        if ("@$FORMS") {
            const personIn = form => {
                const valueOf = fields => form.querySelector(fields)?.value || void 0;
                const email = valueOf("[type=email],[name=email]");
                const key = valueOf("[data-refledger-key]") || valueOf("[name=user_id],[name=customer_id]") || email;
                const mark = form.dataset.refledger;
                if (token && key && mark != "off" && (email || mark != null)) return {
                    key,
                    email,
                    name: valueOf("[name=name]")
                };
                log("form not captured: no token, no e-mail or key in it, or marked off", form);
            };
            const whenFormSends = (event, action) => addEventListener(event, sent => attempt(() => {
                const person = personIn(sent.target);
                if (person) action(person, sent.formData);
            }), true);
            whenFormSends("submit", signUp);
            whenFormSends("formdata", (_, fields) => fields.set(NAME, token));
        }
    });
})();
