/*
 * nicknames.c: see nicknames.h.
 */
#include "kernel/nicknames.h"

#include <string.h>

#include "kernel/given_names.h"
#include "kernel/hash.h"

#define LONGEST_NAME 16
#define PLACES 8192 /* of the look-up, a power of two, at least twice the names */
#define GROUPS_OF_A_NAME 6

/* Names of one group stand together. */
static const char *const groups[] = {
    "aaron ron ronnie",
    "abigail abby abbie gail",
    "abraham abe bram",
    "adam ad addy",
    "adelaide addie ada della heidi",
    "agnes aggie nessie",
    "albert al bert bertie alby",
    "alexander alex al sandy alec xander lex sasha sascha alejandro aleksandr alexandre alessandro",
    "alexandra alex sandra lexi sandy sasha alexa lexie alessandra aleksandra",
    "alfred al alf alfie fred freddie freddy",
    "alice allie ali alicia elsie",
    "alison allison ali allie",
    "amanda mandy manda",
    "amelia amy millie mel emily",
    "anastasia ana stacy stacey nastya",
    "andrew andy drew andre andreas andrei anders andrea",
    "angela angie angelina angelica",
    "ann anne anna annie annette nancy nan hannah anita anya ana",
    "anthony tony ant antonio anton antoine toni",
    "antonia toni tonia",
    "archibald archie",
    "arnold arnie",
    "arthur art artie",
    "augustus gus august auggie augustine",
    "barbara barb barbie babs bobbie",
    "bartholomew bart",
    "beatrice bea trixie beatrix",
    "benedict ben benny",
    "benjamin ben benny benji benjy",
    "bernard bernie barney",
    "bernadette bernie detta",
    "bertha bertie bert",
    "beverly bev beverley",
    "bradley brad",
    "brandon brand",
    "brenda bren",
    "bridget biddy bridie brigid bridgette",
    "calvin cal",
    "cameron cam",
    "camilla cammie millie milla",
    "carl karl charles carlos",
    "carol carole carrie caroline carolyn lyn",
    "caroline carrie carol carolyn carolina",
    "cassandra cass cassie sandra",
    "catherine katherine kathryn katharine cathryn kathy cathy kate katie cat kat kay kitty katy cathie "
    "kathie kit "
    "catalina caitlin kathleen cathleen ekaterina katarina",
    "cecilia cecily celia sissy cecile",
    "charles charlie chuck chas charley chaz carl carlos karl",
    "charlotte charlie lottie lotte lottie",
    "chester chet",
    "christian chris",
    "christina chris chrissy tina christine kristina kristine kirsten christa kris krista christie",
    "christopher chris kit topher kris christoph",
    "clarence clare",
    "clifford cliff",
    "clifton cliff",
    "clinton clint",
    "constance connie",
    "cornelius neil corny con",
    "courtney court",
    "curtis curt kurt",
    "cynthia cindy",
    "daniel dan danny dani",
    "danielle dani danny daniela daniella",
    "david dave davy davey",
    "deborah debra deb debbie debby",
    "delores dolores lola dee",
    "dennis denny den",
    "derek derrick",
    "diana diane di dianne",
    "dominic dom nick dominick",
    "donald don donnie",
    "dorothy dot dottie dolly dorothea dora",
    "douglas doug",
    "dwight ike",
    "edgar ed eddie",
    "edith edie",
    "edmund ed eddie ned ted",
    "edna eddie",
    "edward ed eddie ted teddy ned eduardo edouard",
    "edwin ed eddie win",
    "eleanor ellie nell nelly nora elinor ella elena lenora",
    "elijah eli",
    "elizabeth liz beth betty lizzie eliza betsy bess bessie lisa elisabeth libby elise lizzy lisbeth elsie "
    "elspeth "
    "isabel liza ellie bettie",
    "ellen nell nelly ellie helen",
    "emily em emmy emma millie",
    "emma em emmy",
    "emmanuel manny manuel",
    "ernest ernie ernesto ernst",
    "esther essie hester",
    "ethel effie",
    "eugene gene",
    "evelyn eve evie",
    "ferdinand ferdie fred fernando",
    "florence flo flossie florrie",
    "frances fran fanny francie frankie francesca franny",
    "francis frank fran frankie francisco francesco francois franz frances",
    "franklin frank frankie",
    "frederick fred freddie freddy fredrick rick frederic fritz friedrich",
    "gabriel gabe",
    "gabrielle gabby gabi gaby gabriela",
    "geoffrey geoff jeff jeffrey jeffery",
    "george georgie jorge georg georges",
    "georgina georgie gina georgia georgiana",
    "gerald gerry jerry jerald",
    "geraldine gerry gerri jerry",
    "gertrude gertie trudy gert trudie",
    "gilbert gil bert",
    "gordon gord",
    "grace gracie",
    "gregory greg gregg",
    "guillermo william memo",
    "gwendolyn gwen wendy",
    "hannah annie nan anna hanna",
    "harold harry hal",
    "harriet hattie harry",
    "harrison harry",
    "harvey harv",
    "helen nell nellie ellen helena lena elena",
    "henrietta hattie etta hettie",
    "henry harry hank hal enrique henri heinrich",
    "herbert herb bert",
    "herman herm",
    "hilary hil hillary",
    "howard howie",
    "hubert hugh bert",
    "hugh hughie hugo",
    "ian iain john",
    "ignatius iggy ignacio nacho",
    "irene rene",
    "isaac ike zac",
    "isabel isabella bella belle izzy isabelle isobel isa",
    "isidore izzy",
    "jacob jake jack jakob",
    "jacqueline jackie jacqui jacquelyn",
    "james jim jimmy jamie jem jaime jimmie",
    "jane janie jenny jan jean janet",
    "janet jan jane",
    "janice jan janis",
    "jason jay",
    "jean jeannie jeanne",
    "jennifer jen jenny jenn jennie",
    "jeremiah jerry jeremy",
    "jeremy jerry jem",
    "jerome jerry",
    "jessica jess jessie",
    "joan joanie",
    "joanna jo joanne joan",
    "john jack johnny jon johnnie jonny juan jean johann ivan giovanni johan hans ian",
    "jonathan jon jonny jonathon nathan",
    "joseph joe joey jo jose giuseppe josef",
    "josephine jo josie joey fifi",
    "joshua josh",
    "joyce joy",
    "judith judy judi jude",
    "julia julie jules juliana",
    "juliet julie jules juliette",
    "julian jules julius",
    "justin jus",
    "karen kari",
    "kenneth ken kenny",
    "kevin kev",
    "kimberly kim kimberley kimmy",
    "kristen kris kristin kirsten",
    "laurence lawrence larry lars lorenzo laurie",
    "laura laurie lori lauren lora",
    "leonard len lenny leo leonardo",
    "leopold leo",
    "leroy roy lee",
    "leslie les lesley",
    "lester les",
    "lewis lew louis",
    "lillian lil lily lilly lillie lilian",
    "linda lyn lindy lynda",
    "louis lou louie luis luigi ludwig",
    "louise lou lulu louisa luisa",
    "lucille lucy lu lucia lucinda",
    "luke lucas lukas luc",
    "lynn lyn linda",
    "madeline maddie maddy madeleine madge lena",
    "magdalena lena maggie magda",
    "malcolm mal",
    "marcus mark marc marco",
    ("margaret maggie meg peggy marge margie greta rita daisy madge margo peg megan marjorie peggie "
     "margarita "
     "mags"),
    "maria mary marie mia ria maryam mariam",
    "marilyn mary lyn",
    "marion mary",
    "martha marty mattie patty",
    "martin marty martyn",
    "mary molly polly mae mamie maria marie may mitzi maureen miriam",
    "matilda tilly mattie tilda maud",
    "matthew matt matty mathew matteo mathias",
    "maurice morris mo maury",
    "maximilian max",
    "maxwell max",
    "megan meg",
    "melanie mel",
    "melinda mindy mel linda",
    "melissa mel missy lissa",
    "melvin mel",
    "mervyn merv",
    "michael mike mick mickey mikey micky miguel mikhail michel mitch",
    "michelle shelly shell michele",
    "mildred millie milly",
    "mitchell mitch",
    "mohammed mohamed muhammad mohammad mo mohd muhammed mhd mohamad muhamad mohamud muhamed",
    "montgomery monty",
    "morgan mo",
    "nancy nan ann",
    "natalie nat natasha nattie",
    "nathan nat nate nathaniel",
    "nathaniel nat nate nathan",
    "nicholas nick nicky nicolas nico nikolai klaus claus niko nik",
    "nicole nicky nikki nicola nic",
    "norman norm",
    "oliver ollie oli",
    "olivia liv livvy ollie",
    "oscar ozzie",
    "oswald oz ozzie",
    "pamela pam",
    "patricia pat patty tricia trish patsy patti trisha paddy",
    "patrick pat paddy rick patty",
    "paul pablo paolo pavel",
    "paula polly pauline paulina",
    "penelope penny",
    "percival percy",
    "peter pete pedro pierre pieter petr",
    "philip phil phillip pip felipe",
    "priscilla cilla prissy",
    "rachel rae shelly rachael",
    "ralph rafe",
    "randall randy randolph",
    "raphael rafe ralph rafael raffi",
    "raymond ray",
    "rebecca becky becca beck rebekah",
    "regina gina reggie",
    "reginald reg reggie",
    "reuben rube ruben",
    "richard rich dick rick richie ricky ricardo dickie ritchie",
    "robert rob bob bobby robbie bert roberto robby robin bobbie",
    "roberta bobbie robbie berta",
    "roderick rod rick roddy",
    "rodney rod",
    "roger rodge rog",
    "roland rollie",
    "ronald ron ronnie ronny",
    "rosalind roz ros rosie",
    "rosemary rose rosie romy rosemarie",
    "rose rosie rosa roseanne",
    "rudolph rudy rudolf",
    "rupert robert",
    "russell russ rusty",
    "samantha sam sammy",
    "samuel sam sammy",
    "sandra sandy",
    "sarah sally sadie sara",
    "sebastian seb bastian",
    "seymour cy",
    "sharon shari",
    "sheila shelly",
    "shirley shirl",
    "sidney sid sydney",
    "simon si",
    "solomon sol",
    "sophia sophie sofia",
    "stanley stan",
    "stephanie steph stevie stefanie",
    "stephen steven steve stevie stefan steffen esteban",
    "stewart stuart stu stew",
    "susan sue susie suzy suzie susanna suzanne sukie susannah",
    "sylvester sly syl",
    "sylvia syl silvia",
    "tabitha tabby",
    "teresa theresa terry tess tessa tracy terri terese",
    "terence terry terrance terrence",
    "thaddeus tad ted thad",
    "theodore ted teddy theo theodor",
    "thomas tom tommy thom tomas",
    "timothy tim timmy",
    "tobias toby",
    "tracy trace tracey",
    "valerie val",
    "vanessa nessa",
    "veronica ronnie vera roni nicky",
    "victor vic viktor",
    "victoria vicky vicki tori vic",
    "vincent vince vin vinny vinnie",
    "viola vi violet",
    "virginia ginny ginger virgie",
    "vivian viv vivienne",
    "walter walt wally wat",
    "wanda wendy",
    "wesley wes",
    "wilfred will fred wilf",
    "wilhelmina mina billie wilma minnie",
    "willard will",
    "william will bill billy willie liam wm willy wilhelm guillaume billie",
    "winfred fred win winnie",
    "winifred winnie freda",
    "winston win winnie",
    "yvonne evonne von",
    "zachary zach zack zac",
};

typedef struct nickname {
    uint64_t name; /* hash; 0: free */
    uint16_t groups[GROUPS_OF_A_NAME];
    uint16_t count;
} nickname;

static nickname places[PLACES];
static bool prepared;

static uint64_t
name_hash(text_view name)
{
    uint64_t hash = name.length;

    for (uint32_t i = 0; i < name.length; i++)
        hash = hash_combine(hash, text_view_at(name, i));
    return hash == 0 ? 1 : hash;
}

/* The place of a name, or the free place where it would be. */
static nickname *
find_place(uint64_t hash)
{
    size_t place = (size_t)(hash & (PLACES - 1));

    while (places[place].name != 0 && places[place].name != hash)
        place = (place + 1) & (PLACES - 1);
    return &places[place];
}

/* The names of a string; group: -1: they are in none. */
static void
enter(const char *names, int group)
{
    for (const char *word = names; *word != '\0';) {
        size_t length = strcspn(word, " ");
        uint64_t hash = name_hash((text_view){word, (uint32_t)length, 1});
        nickname *entry = find_place(hash);

        entry->name = hash;
        if (group >= 0 && entry->count < GROUPS_OF_A_NAME &&
            (entry->count == 0 || entry->groups[entry->count - 1] != group))
            entry->groups[entry->count++] = (uint16_t)group;
        word += length + (word[length] == ' ');
    }
}

void
nicknames_prepare(void)
{
    if (prepared)
        return;
    for (size_t g = 0; g < sizeof groups / sizeof groups[0]; g++)
        enter(groups[g], (int)g);
    for (size_t i = 0; i < given_names_count; i++)
        enter(given_names[i], -1);
    prepared = true;
}

static const nickname *
look_up(text_view name)
{
    const nickname *entry;

    if (name.length < 2 || name.length > LONGEST_NAME || name.width != 1)
        return NULL;
    entry = find_place(name_hash(name));
    return entry->name != 0 ? entry : NULL;
}

bool
nickname_known(text_view name)
{
    const nickname *entry = look_up(name);

    return entry != NULL && entry->count > 0;
}

bool
given_name_known(text_view name)
{
    return look_up(name) != NULL;
}

uint32_t
nickname_bits(text_view name, uint32_t bits)
{
    const nickname *entry = look_up(name);
    uint32_t mask = 0;

    for (int i = 0; entry != NULL && i < entry->count; i++)
        mask |= UINT32_C(1) << entry->groups[i] % bits;
    return mask;
}

bool
nicknames_agree(text_view a, text_view b)
{
    const nickname *first = look_up(a), *second = first == NULL ? NULL : look_up(b);

    if (second == NULL)
        return false;
    for (int i = 0; i < first->count; i++)
        for (int j = 0; j < second->count; j++)
            if (first->groups[i] == second->groups[j])
                return true;
    return false;
}
