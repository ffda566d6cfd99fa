/* The shootdown protocol of the guest kernel (guest-kernel/arch/x86_64/tlb.hpp, whose steps are named here), for
 * every order in which three processors can do two shootdowns.
 * SPDX-License-Identifier: MIT
 *
 * Each page is mapped at first. Processors load the tables, remember translations when they please, and leave again.
 * Two of them take a page out of the tables, make the others forget it, and give its frame back: then nobody may
 * remember it, for a processor may use what it remembers at any time. Without GIVE_UP every request is also answered
 * in the end: a state in which all wait is an error. With it, who answers a later request has forgotten all that was
 * asked before, for a page that was lost may be mapped anew.
 *
 * Memory is sequentially consistent here. The one order of a store and a later load that x86 does not keep by itself
 * is that of RULE (user_tables.cpp); NO_FENCE and NO_ENLISTING_FENCE are what it would be without its fences.
 *
 * Variants, each of which the tests see refuted:
 *   NO_FENCE            who uses the tables is read before the change of the tables is seen by others
 *   NO_ENLISTING_FENCE  tables are walked before others see that they are used
 *   FREE_EARLY          the frame goes back before the answers are there
 *   ANSWER_EARLY        a processor answers before it forgets
 *   FORGET_ONE          one of those that are meant is not asked
 *   FORGET_OVERDUE      with GIVE_UP: what a sender gave up waiting for is not owed any more
 *   DEAF                a processor that waits for its turn to send answers nobody
 */
#define CPUS 3
#define SENDERS 2 /* shootdown n is about page n, sent by processor n */

#define BIT(n) (1 << (n))
#define EVERYTHING (BIT(SENDERS) - 1)

byte mapped = EVERYTHING;    /* pages in the tables */
byte lost = 0;               /* pages whose sender gave up: their frames are never given back */
byte users = 0;              /* processors that have the tables loaded, as others see it */
byte remembered[CPUS];       /* pages each may translate without looking at the tables */
bool loaded[CPUS];

/* Record */
byte number = 0;
byte page = 0;
/* Mailboxes */
byte requested[CPUS];
byte acknowledged[CPUS];
bool overdue[CPUS];

bool turn = false;  /* held by a sender */
byte finished = 0;  /* senders that are done */

/* Step 5, for what is asked of processor `self`; `wanted`, `what` and `whole` are its own. */
inline serve(self) {
    do
    :: acknowledged[self] < requested[self] ->
        wanted = requested[self];
        what = page;
        whole = (number == wanted);
#ifdef ANSWER_EARLY
        acknowledged[self] = wanted;
#endif
        if
        :: whole && !overdue[self] -> remembered[self] = remembered[self] & ~BIT(what)
        :: else ->
            overdue[self] = false;
            remembered[self] = 0
        fi;
#ifndef ANSWER_EARLY
        acknowledged[self] = wanted;
#endif
    :: else -> break
    od
}

/* What a processor does with its translations between any two steps. */
inline work(self) {
    if
    :: !loaded[self] ->
#ifdef NO_ENLISTING_FENCE
        loaded[self] = true;
        remembered[self] = remembered[self] | mapped;
        users = users | BIT(self)
#else
        users = users | BIT(self);
        loaded[self] = true
#endif
    :: loaded[self] -> remembered[self] = remembered[self] | mapped
    :: loaded[self] ->
        /* A load of CR3 forgets what is not global. */
        loaded[self] = false;
        remembered[self] = 0;
        users = users & ~BIT(self)
    fi
}

/* Nobody remembers the page, whose frame may be anybody's now. */
inline give_back(which) {
    d_step {
        other = 0;
        do
        :: other < CPUS -> assert((remembered[other] & BIT(which)) == 0); other++
        :: else -> break
        od;
        other = 0
    }
}

inline shoot(self) {
    /* Step 1, and who is meant. */
#ifdef NO_FENCE
    meant = users;
    mapped = mapped & ~BIT(self);
#else
    mapped = mapped & ~BIT(self);
    meant = users;
#endif
    remembered[self] = remembered[self] & ~BIT(self);
    meant = meant & ~BIT(self);
#ifdef FORGET_ONE
    meant = meant & (meant - 1);
#endif
#ifdef FREE_EARLY
    give_back(self);
#endif
    answered = true;
    if
    :: meant != 0 ->
        /* Step 2 */
        do
        :: atomic { !turn -> turn = true }; break
#ifndef DEAF
        :: acknowledged[self] < requested[self] -> serve(self)
#endif
        od;
        /* Step 3: receivers look at the record whenever they like. */
        was_lost = lost;
        asked = number + 1;
        number = asked;
        page = self;
        other = 0;
        do
        :: other < CPUS ->
            if
            :: (meant & BIT(other)) != 0 -> requested[other] = asked  /* step 4: it will look */
            :: else
            fi;
            other++
        :: else -> break
        od;
        /* Step 6 */
        other = 0;
        do
        :: other < CPUS ->
            if
            :: (meant & BIT(other)) == 0
            :: (meant & BIT(other)) != 0 && acknowledged[other] >= asked
#ifdef GIVE_UP
            :: (meant & BIT(other)) != 0 && acknowledged[other] < asked ->
#ifndef FORGET_OVERDUE
                overdue[other] = true;
#endif
                lost = lost | BIT(self);  /* the frame stays unused for good */
                answered = false
#endif
            fi;
            other++
        :: else -> break
        od;
        turn = false
    :: else
    fi;
    if
    :: answered ->
        give_back(self);
        other = 0;
        do
        :: other < CPUS -> assert((meant & BIT(other)) == 0 || (remembered[other] & was_lost) == 0); other++
        :: else -> break
        od
    :: else
    fi
}

proctype processor(byte self) {
    byte wanted, what, meant, asked, other, was_lost;
    bool whole, answered;
    byte steps = 0;
    do
    :: steps < STEPS -> steps++; work(self)
    :: acknowledged[self] < requested[self] -> serve(self) /* step 4: interrupts are on */
    :: self < SENDERS -> break
    :: finished == SENDERS && acknowledged[self] == requested[self] -> break
    od;
    if
    :: self < SENDERS ->
        shoot(self); /* interrupts are off */
        finished++;
        do
        :: steps < STEPS -> steps++; work(self)
        :: acknowledged[self] < requested[self] -> serve(self)
        :: finished == SENDERS && acknowledged[self] == requested[self] -> break
        od
    :: else
    fi
}

init {
    atomic {
        byte i = 0;
        do
        :: i < CPUS -> run processor(i); i++
        :: else -> break
        od
    }
}
