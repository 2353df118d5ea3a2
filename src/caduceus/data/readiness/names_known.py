"""Common given names, family names and towns: enough to tell a column of names from a column of other words.

They are not there to find one name in a sentence; a column is called by them only where many of its values are among
them. Given and family names are those most frequent in public statistics of the US, Germany, France, Spain, Italy, the
Nordic countries, India, China and the Arab countries; towns are the most populous of the US and the world.
"""

from __future__ import annotations

TITLES = r"^(?:dr|mr|mrs|ms|miss|prof|herr|frau|mme|sra?|hr|fr|rev|sir)\.?\s"
"""What stands before a name."""

_GIVEN = """
aaron abigail adam agnieszka ahmed ahmet aisha akira alain alan albert alejandro aleksandr alexander alexis ali
alice amanda amber amit amy ana anders andrea andreas andrew andrzej angela angelo anita anja ann anna anthony
antonio arjun arthur ashley astrid austin ayşe barbara benjamin bernd betty beverly billy birgit björn bobby bradley
brandon brenda brian brigitte brittany bruce bryan camila camille carl carlos carmen carol carolyn catherine charles
charlotte cheryl chiara christa christian christina christine christophe christopher claudia cynthia daniel danielle
david deborah debra deepak denise dennis diana diane diego dieter dmitri dolores donald donna doris dorothy douglas
dylan edward elena elijah elisabeth elizabeth emily emine emma eric erik erika ethan eugene eva evelyn fang fatima
fatma felix fernando finn frances francesca francesco francisco frank françois gabriel gary george gerald gerhard
giovanni gisela giulia giuseppe gloria grace gregory gunnar günter hannah hans harold haruto hassan heather heike
heinz helen helga helmut henry hiroshi horst hui hussein ingrid isabel isabella isabelle ivan jack jacob jacqueline
jacques james jan janet janice jason javier jean jeffrey jennifer jens jeremy jerry jesse jessica jing joan joe john
jonas jonathan jordan jorge jose josefa joseph joshua joyce juan judith judy juergen julia julie justin jürgen karen
karin karl katarzyna katherine kathleen kathryn kavita kayla keith kelly kenji kenneth kevin khadija kimberly klaus
kristina krzysztof kyle lakshmi larry lars laura lauren lawrence leon li linda ling linh lisa logan lori lucia luigi
luis lukas luz léa madison manfred manon manuel margaret margareta maria mariam marie marilyn mario mark markus
marta martha martina martine mary mason mateo matthew matthias maximilian małgorzata megan mehmet mei mei-ling
melissa michael michel michelle miguel mikhail min ming minh mohamed mohammed monika muhammad mustafa nancy natalie
natasha nathalie nathan nguyen nicholas nicolas nicole nils noah olga olivia olof omar pamela patricia patrick paul
paula pedro per peter petra philip philippe pierre pilar piotr priya rachel rafael rahul raj ralph randy ravi
raymond rebecca renate richard robert roger ronald rosa roy russell ruth ryan sabine sakura samantha samuel sandra
sanjay santiago sara sarah scott sean sebastian sergei sergio sharon shirley sofia sophia stefan stephanie stephen
steven sunita susan susanne sven svetlana sylvie takashi tatiana teresa terry theresa thomas timothy tobias tomasz
torsten tyler ursula uwe valentina valérie victoria vijay vincent vincenzo virginia walter wayne wei werner william
willie wolfgang xin yan yuki zachary
"""

_FAMILY = """
adams aguilar ahmed alexander allen alvarez anderson andersson bailey baker bakker barnes bauer becker bell bennett
bertrand bianchi black boyd braun brooks brown bruno bryant burns butler campbell carter castillo castro chavez chen
clark cole coleman collins colombo conti cook cooper cox crawford cruz davis de demir diaz dijk dixon dubois durand
edwards ellis eriksson esposito evans fernandez ferrari fischer fisher flores ford foster fournier freeman gallo
garcia gibson gomez gonzales gonzalez gordon graham gray greco green griffin guo gupta gutierrez guzman hall
hamilton hansen harris harrison hartmann hayes he henderson henry hernandez herrera hicks hill hoffmann hofmann
holmes howard hu huang hughes hunt hunter hussain ivanov jackson james jansen jenkins jensen jimenez johansson
johnson jones jordan karlsson kaya kelly kennedy khan kim king klein koch kowalski krause krüger kumar köhler lange
larsson laurent lee lefebvre lehmann leroy lewis lin liu long lopez ma marino marshall martin martinez mason
mcdonald medina mendez mendoza meyer michel miller mitchell moore morales moreau moreno morgan morris mueller munoz
murphy murray myers müller nelson neumann nguyen nielsen nilsson nowak o'brien o'connor o'keefe o'reilly olsen olson
olsson ortiz owens palmer parker patel patterson pedersen perez perry persson peterson petrov phillips porter powell
price ramirez ramos reed reyes reynolds ricci richardson richter rivera roberts robertson robinson rodriguez rogers
romano romero ross rossi roux ruiz russell russo sanchez sanders schmidt schmitt schneider schröder schulz schwarz
schäfer scott sharma shaw sidorov silva simmons simon simpson singh smit smith snyder stevens stewart sullivan sun
taylor thomas thompson torres tran tucker turner van vargas vasquez vincent visser vries wagner walker wallace wang
ward washington watson webb weber wells werner west white williams wilson wiśniewski wolf wood woods wright wu
wójcik xu yang yilmaz young zhang zhao zhou zhu zimmermann
"""

_TOWNS = """
aarhus; abilene; akron; albuquerque; alexandria; allentown; amarillo; amsterdam; anaheim; anchorage; ankara;
ann arbor; antwerp; antwerpen; arlington; arvada; athens; atlanta; auckland; augusta; aurora; austin; baghdad;
bakersfield; baltimore; bangalore; bangkok; barcelona; basel; baton rouge; beijing; belfast; bellevue; bergen;
berkeley; berlin; bern; birmingham; bogotá; boise; bordeaux; boston; bremen; bridgeport; brisbane; bristol; brno;
brockton; brownsville; brussels; bruxelles; bucharest; budapest; buenos aires; buffalo; cairo; calgary; cambridge;
cape coral; cape town; cardiff; carrollton; cary; cedar rapids; chandler; charleston; charlotte; chattanooga;
chennai; chesapeake; chicago; chula vista; cincinnati; clarksville; cleveland; cologne; colorado springs; columbia;
columbus; concord; copenhagen; coral springs; cork; corona; corpus christi; dallas; dayton; delhi; denton; denver;
des moines; detroit; dhaka; dodge city; dortmund; dresden; dubai; dublin; durham; düsseldorf; edinburgh; edmonton;
eindhoven; el paso; elizabeth; elk grove; emporia; escondido; espoo; essen; eugene; evansville; fall river; fargo;
fayetteville; fontana; fort collins; fort lauderdale; fort wayne; fort worth; framingham; frankfurt; fremont;
fresno; frisco; fullerton; gainesville; garden city; garden grove; garland; geneva; gent; genève; gilbert; glasgow;
glendale; grand prairie; grand rapids; graz; green bay; greensboro; guadalajara; guangzhou; göteborg; hamburg;
hampton; hannover; hartford; haverhill; hayward; helsinki; henderson; hialeah; hollywood; hong kong; honolulu;
houston; huntington beach; huntsville; hutchinson; independence; indianapolis; irvine; irving; istanbul; izmir;
jackson; jacksonville; jakarta; jersey city; jerusalem; johannesburg; joliet; kansas city; karachi; kent; killeen;
knoxville; kolkata; kraków; köln; københavn; lagos; lahore; lakewood; lancaster; laredo; las vegas; lausanne;
lawrence; leavenworth; leeds; leipzig; lenexa; lexington; lille; lima; lincoln; linz; lisboa; lisbon; little rock;
liverpool; london; long beach; los angeles; louisville; lowell; lubbock; lynn; lyon; macon; madison; madrid; malden;
malmö; manchester; manhattan; manila; marseille; mcallen; mckinney; melbourne; memphis; mesa; mesquite; mexico city;
miami; midland; milan; milano; milwaukee; minneapolis; miramar; mobile; modesto; monterrey; montgomery; montreal;
moreno valley; moscow; mumbai; munich; murfreesboro; münchen; nairobi; nantes; naperville; nashville; new bedford;
new haven; new orleans; new york; newark; newport news; newton; nice; norfolk; norman; north las vegas; nürnberg;
oakland; oceanside; oklahoma city; olathe; omaha; ontario; orange; orlando; osaka; oslo; ottawa; overland park;
oxnard; palmdale; paris; pasadena; paterson; peabody; pearland; pembroke pines; peoria; perth; philadelphia;
phoenix; pittsburg; pittsburgh; plano; pomona; port st. lucie; portland; porto; poznań; prague; praha; providence;
quincy; raleigh; rancho cucamonga; reno; richmond; rio de janeiro; riverside; riyadh; rochester; rockford; roma;
rome; roseville; rotterdam; sacramento; saint paul; salem; salina; salinas; salt lake city; san antonio;
san bernardino; san diego; san francisco; san jose; santa ana; santa clara; santa clarita; santa rosa; santiago;
savannah; scottsdale; seattle; seoul; sevilla; shanghai; shawnee; sheffield; shenzhen; shreveport; simi valley;
singapore; sioux falls; sofia; somerville; spokane; springfield; st. louis; st. paul; st. petersburg; stamford;
sterling heights; stockholm; stockton; stuttgart; sunnyvale; surprise; sydney; syracuse; são paulo; tacoma;
tallahassee; tampa; tampere; tehran; tel aviv; tempe; the hague; thornton; thousand oaks; tokyo; toledo; topeka;
toronto; torrance; toulouse; tucson; tulsa; utrecht; valencia; vallejo; vancouver; victorville; vienna;
virginia beach; visalia; waco; waltham; warren; warsaw; warszawa; wellington; west valley city; wichita; wien;
winnipeg; winston-salem; worcester; wrocław; yonkers; zaragoza; zurich; zürich; łódź
"""

GIVEN = frozenset(_GIVEN.split())
"""Given names, in lower case."""

FAMILY = frozenset(_FAMILY.split())
"""Family names, in lower case."""

TOWNS = frozenset(" ".join(one.split()) for one in _TOWNS.split(";"))
"""Towns, in lower case."""
