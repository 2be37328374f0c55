/*
 * Refledger's tracker: what runs on a merchant's website.
 *
 * It notices that a partner's link brought this visitor, makes the token of that visit
 * here in the browser, reports the click once, and hands the token to whatever comes
 * later: Stripe's links and elements, sign-ups, the merchant's other sites.
 *
 * Promises: it never throws into the page, never delays it, adds nothing to it but
 * references to a token, and on a visit that no partner brought it does nothing at all.
 *
 * Two kinds of names are not defined here:
 *   FORMS, CROSS_DOMAIN, DEBUG  are decided when the file is built; what is off is left out.
 *   $NAMES                      are a program's settings, filled in as JSON when it is served.
 */
(() => {
  const NAME = "refledger"; // of the cookie, the storage items and the form field
  const HANDED_OVER = "rfl"; // the parameter in which a token travels between hosts

  /** Run something that the browser or the page may refuse; a refusal is no result. */
  const attempt = (action) => {
    try {
      return action();
    } catch (refusal) {
      if (DEBUG) log("the browser refused:", refusal);
    }
  };

  const log = (...words) => DEBUG && console.log("[refledger]", ...words);

  // A second file says what this one would do silently. It does this one's work as well.
  if (!DEBUG && /[?&]refledger_debug=1/.test(location.search)) {
    document.head.append(Object.assign(document.createElement("script"), { src: $DEBUG_URL }));
    return;
  }

  // Calls made before this file had loaded, by way of the optional stub.
  const earlierCalls = window[$GLOBAL_NAME]?.q || [];

  const isBot =
    navigator.webdriver || /bot|crawl|spider|lighthouse/i.test(navigator.userAgent);

  /** Whether anything may be stored, read or sent. */
  let consent =
    !isBot &&
    !(
      $CONSENT_REQUIRED ||
      navigator.globalPrivacyControl ||
      document.querySelector("script[data-consent=required]")
    );

  let token; // of the visit that counts, while there is consent
  let placed; // the token that stands in the page's links and elements
  let arrival; // [, token handed over, key]: how this visitor came, until it is dealt with
  let countedKey; // the partner whose click this browser tab counted last
  const waiting = []; // callbacks of refledger("ready", …)

  /** Reload and "back" show a link's address again without anybody following the link. */
  let isReturn = attempt(() =>
    /reload|back/.test(performance.getEntriesByType("navigation")[0].type),
  );

  // --- Memory: a cookie on the widest domain that sticks, mirrored in localStorage -------
  // Both hold `<token>.<time it expires, in ms>`, so that either can restore the other.

  const write = (record, seconds) => {
    attempt(() => {
      delete localStorage[NAME];
      if (record) localStorage[NAME] = record;
    });
    attempt(() => {
      const labels = location.hostname.split(".");
      // From the right: a browser refuses a public suffix, so none is listed here.
      for (let first = labels.length; first--; ) {
        document.cookie =
          `${NAME}=${record};path=/;samesite=lax;max-age=${seconds}` +
          `;domain=${labels.slice(first).join(".")}` +
          (location.protocol == "https:" ? ";secure" : "");
        if (record && document.cookie.includes(record)) break;
      }
    });
  };

  /** Make this the token that counts; without one, forget everything. */
  const keep = (newToken, expires) => {
    token = newToken;
    write("", 0); // else the old cookie would look as if the new one had stuck
    if (token) write(token + "." + expires, ~~((expires - Date.now()) / 1e3));
  };

  const restore = () => {
    const [, stored, , expires] =
      `${attempt(() => document.cookie)}; ${NAME}=${attempt(() => localStorage[NAME])}`.match(
        /\brefledger=([\w-]{22}_([\w-]{1,64}))\.(\d+)/,
      ) || [];
    // Written again, which restores a lost half and renews what a browser cut short.
    // What is stored goes before what is remembered here: another tab may have written it.
    if (stored != token && expires > Date.now()) {
      keep(stored, +expires);
      log("found in the cookie or in localStorage:", stored);
    }
  };

  // --- Reporting -------------------------------------------------------------------------

  /** A simple request (text/plain), so that no preflight precedes it. */
  const post = async (url, content) => {
    const body = JSON.stringify(content);
    try {
      const answer = await fetch(url, { method: "POST", keepalive: true, body });
      if (DEBUG) log(url, "answered", answer.status, answer.headers.get("X-Refledger"));
      return answer;
    } catch (refusal) {
      log("the request failed, trying sendBeacon:", url, refusal);
      navigator.sendBeacon?.(url, body);
    }
  };

  /** Promises the answer's JSON, or nothing; it never rejects. */
  const signUp = async (details) => {
    if (consent) {
      try {
        log("sign-up sent:", details);
        return await (await post($SIGNUP_URL, { ...details, p: $PROGRAM, t: token })).json();
      } catch (refusal) {
        log("no readable answer to the sign-up:", refusal);
      }
    } else log("sign-up not sent:", isBot ? "an automated browser" : "no consent");
  };

  // --- References in the page ------------------------------------------------------------

  /** What the merchant set stays; only nothing, or what was put here before, is replaced. */
  const isOurs = (value) => (!value || value == placed) && value != token;

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

  const decorate = () =>
    attempt(() => {
      if (!token && !placed) return;
      for (const element of document.querySelectorAll($STRIPE_ELEMENTS))
        element.href
          ? markLink(element, "client_reference_id")
          : markElement(element, "client-reference-id");
      if (CROSS_DOMAIN)
        for (const link of document.links)
          if (link.hostname != location.hostname && $CROSS_DOMAINS.includes(link.hostname))
            markLink(link, HANDED_OVER);
      if (FORMS)
        for (const field of document.querySelectorAll("input[name=refledger]"))
          if (isOurs(field.value)) field.value = token || "";
      placed = token;
    });

  // --- The visit -------------------------------------------------------------------------

  const newTokenFor = (key) =>
    btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(18))))
      .replace(/\W/g, "-")
      .slice(0, 22) +
    "_" +
    key;

  /**
   * The cuts keep the body within the 2 kB that the server reads. Sub ids (utm_…, sub1, …)
   * stand in the page's query, so they are not repeated.
   */
  const reportClick = (newToken) =>
    post($CLICK_URL, {
      p: $PROGRAM,
      t: newToken,
      u: location.href.split("#")[0].slice(0, 1399),
      r: document.referrer.slice(0, 299),
    });

  /** Take a token over from another host, or make one for a link that was followed. */
  const arrive = ([, handedOver, key]) => {
    countedKey ||= attempt(() => sessionStorage[NAME]);
    if (handedOver ? handedOver != token : !token || (key != countedKey && !isReturn)) {
      const newToken = handedOver || newTokenFor(key);
      log(handedOver ? "token handed over:" : "partner's link, a new click:", newToken);
      if ($FIRST_CLICK && token) log("first click: the earlier token stays", token);
      else keep(newToken, Date.now() + $COOKIE_MS);
      if (!handedOver) reportClick(newToken);
    } else log("this visit has counted the click of", key);
    countedKey = key;
    attempt(() => (sessionStorage[NAME] = key));
    if (handedOver)
      history.replaceState(
        history.state,
        "",
        location.href.replace(/([?&])rfl=[\w-]+(&?)/, (_, before, after) => after && before),
      );
  };

  /** Look at the address and do what it asks for. Harmless to call again at any time. */
  const visit = (event) =>
    attempt(() => {
      isReturn ||= event?.type == "popstate";
      arrival =
        location.search.match(/[?&]rfl=([\w-]{22}_([\w-]{1,64}))(?![^&])/) ||
        location.href.match($LINK) ||
        arrival;
      if (document.prerendering) return;
      if (consent) {
        restore();
        const arrived = arrival;
        arrival = 0;
        if (arrived) arrive(arrived);
        isReturn = 0;
      }
      if (DEBUG) explain();
      decorate();
      for (const callback of waiting.splice(0)) setTimeout(callback, 0, token);
    });

  const explain = () => {
    if (isBot) log("an automated browser or a bot: nothing is stored or sent");
    else if (!consent)
      log(
        "no consent: nothing is stored or sent until refledger('consent', true).",
        "Required by the program or the script tag:",
        !!($CONSENT_REQUIRED || document.querySelector("script[data-consent=required]")),
        "Global Privacy Control:",
        !!navigator.globalPrivacyControl,
      );
    else if (token)
      log(
        "token:",
        token,
        "- in the cookie:",
        !!attempt(() => document.cookie.includes(token)),
        "- in localStorage:",
        !!attempt(() => localStorage[NAME].includes(token)),
      );
    else log("no token: no partner's link in the address, nothing stored. Looked for", $LINK);
  };

  // --- What the page may call ------------------------------------------------------------

  const commands = {
    signup: signUp,
    token: () => token,
    ready: (callback) => {
      waiting.push(callback);
      visit();
    },
    consent: (given) => {
      consent = given && !isBot;
      if (!given) {
        keep();
        attempt(() => delete sessionStorage[NAME]);
      }
      visit();
    },
  };

  const api = (window[$GLOBAL_NAME] = (command, ...details) =>
    attempt(() => commands[command](...details)));

  visit();
  for (const call of earlierCalls) api(...call);

  // --- What happens later in the page ----------------------------------------------------

  attempt(() => {
    for (const method of ["pushState", "replaceState"]) {
      const original = history[method];
      history[method] = (...details) => {
        original.apply(history, details);
        visit();
      };
    }
    // By the time of a click, too, something may have changed unseen.
    for (const event of ["popstate", "prerenderingchange", "click", "auxclick"])
      addEventListener(event, visit, true);

    // Elements that are inserted later.
    new MutationObserver(decorate).observe(document, { childList: true, subtree: true });

    if (FORMS) {
      /** What a form says of the person who signs up; nothing if it is not to be captured. */
      const personIn = (form) => {
        const valueOf = (fields) => form.querySelector(fields)?.value || undefined;
        const email = valueOf("[type=email],[name=email]");
        const key =
          valueOf("[data-refledger-key]") || valueOf("[name=user_id],[name=customer_id]") || email;
        const mark = form.dataset.refledger; // data-refledger, or data-refledger="off"
        if (token && key && mark != "off" && (email || mark != null))
          return { key, email, name: valueOf("[name=name]") };
        log("form not captured: no token, no e-mail or key in it, or marked off", form);
      };
      // First in line, so that a page which sends its form by script sends the field as well.
      const whenFormSends = (event, action) =>
        addEventListener(
          event,
          (sent) =>
            attempt(() => {
              const person = personIn(sent.target);
              if (person) action(person, sent.formData);
            }),
          true,
        );
      whenFormSends("submit", signUp);
      whenFormSends("formdata", (_, fields) => fields.set(NAME, token));
    }
  });
})();
