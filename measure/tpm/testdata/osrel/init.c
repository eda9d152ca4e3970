typedef unsigned long u64; typedef long i64;
static i64 sc(i64 n,i64 a,i64 b,i64 c,i64 d,i64 e){i64 r;register i64 r10 __asm__("r10")=d;register i64 r8 __asm__("r8")=e;__asm__ volatile("syscall":"=a"(r):"a"(n),"D"(a),"S"(b),"d"(c),"r"(r10),"r"(r8):"rcx","r11","memory");return r;}
static u64 len(const char*s){u64 n=0;while(s[n])n++;return n;}
static int con;
static void put(const char*s,u64 n){sc(1,con,(i64)s,n,0,0);}
static void puts_(const char*s){put(s,len(s));}
static void cat(const char*p,int hex){char b[128];int f=sc(2,(i64)p,0,0,0,0);if(f<0){puts_("ERR\n");return;}i64 n;while((n=sc(0,f,(i64)b,sizeof b>64?64:64,0,0))>0){if(!hex){put(b,n);continue;}char o[130];static const char d[]="0123456789abcdef";for(i64 i=0;i<n;i++){o[2*i]=d[(b[i]>>4)&15];o[2*i+1]=d[b[i]&15];}puts_("L ");put(o,2*n);puts_("\n");}sc(3,f,0,0,0,0);}
static void go(void){
 sc(83,(i64)"/sys",0755,0,0,0);sc(83,(i64)"/proc",0755,0,0,0);sc(83,(i64)"/dev",0755,0,0,0);
 sc(165,(i64)"sysfs",(i64)"/sys",(i64)"sysfs",0,0);sc(165,(i64)"proc",(i64)"/proc",(i64)"proc",0,0);sc(165,(i64)"dev",(i64)"/dev",(i64)"devtmpfs",0,0);
 sc(165,(i64)"securityfs",(i64)"/sys/kernel/security",(i64)"securityfs",0,0);
 con=sc(2,(i64)"/dev/ttyS0",1,0,0,0);if(con<0)con=sc(2,(i64)"/dev/console",1,0,0,0);
 puts_("\nBEGIN\nCMDLINE ");cat("/proc/cmdline",0);
 for(int b=0;b<2;b++)for(int i=0;i<24;i++){char p[64]="/sys/class/tpm/tpm0/pcr-sha256/";if(b){p[27]='3';p[28]='8';p[29]='4';}u64 k=len(p);char t[8];int m=0;if(i>9)t[m++]='0'+i/10;t[m++]='0'+i%10;t[m]=0;for(int j=0;j<=m;j++)p[k+j]=t[j];puts_("PCR ");put(p+24,6);puts_(" ");puts_(t);puts_(" ");cat(p,0);}
 cat("/sys/kernel/security/tpm0/binary_bios_measurements",1);
 puts_("END\n");sc(162,0,0,0,0,0);
 struct{i64 s,n;}ts={1,0};sc(35,(i64)&ts,0,0,0,0);
 sc(169,0xfee1dead,672274793,0x4321fedc,0,0);for(;;)sc(35,(i64)&ts,0,0,0,0);
}
void _start(void){__asm__ volatile("and $-16,%rsp");go();}
